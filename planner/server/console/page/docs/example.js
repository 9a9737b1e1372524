// An example of a request: the document's own body, or one made of its schema, and the command that sends it.

/** A body for an operation; null where it takes none. */
export function bodyOf({ body, follow }) {
  if (!body) return null;
  return body.example ?? sample(body.schema, follow);
}

/** The least that a schema takes: required fields only. */
export function sample(part, follow, depth = 0) {
  const schema = follow(part) ?? {};
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum?.length) return schema.enum[0];
  const first = (schema.anyOf ?? schema.oneOf)?.[0];
  if (first) return depth > 8 ? null : sample(first, follow, depth + 1);
  if (schema.properties) {
    if (depth > 8) return {};
    const required = (schema.required ?? []).filter((name) => Object.hasOwn(schema.properties, name));
    return Object.fromEntries(
      required.map((name) => [name, sample(schema.properties[name], follow, depth + 1)]),
    );
  }
  if (schema.type === "array") return schema.minItems ? [sample(schema.items, follow, depth + 1)] : [];
  if (schema.type === "integer" || schema.type === "number") return schema.minimum ?? 1;
  if (schema.type === "boolean") return true;
  return schema.type === "object" ? {} : "text";
}

/** The command for a shell, every word of it quoted. `base`: the address of the page. */
export function curl(operation, base) {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name) => {
    const parameter = operation.parameters.find((one) => one.name === name);
    return encodeURIComponent(parameter?.example ?? sample(parameter?.schema, operation.follow));
  });
  const lines = [`curl ${quoted(new URL(path.replace(/^\//, ""), base).href)}`];
  const body = bodyOf(operation);
  if (operation.method !== "get" && !(operation.method === "post" && body))
    lines[0] = `curl -X ${operation.method.toUpperCase()} ${lines[0].slice(5)}`;
  if (operation.wantsKey) lines.push('-H "authorization: Bearer $PLANNER_KEY"');
  if (body !== null) {
    lines.push("-H 'content-type: application/json'");
    lines.push(`-d ${quoted(spread(body))}`);
  }
  return lines.join(" \\\n  ");
}

/** JSON with a line for each field of the outermost object. */
function spread(body) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) return JSON.stringify(body);
  const lines = Object.entries(body).map(
    ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  return lines.length > 1 ? `{\n    ${lines.join(",\n    ")}\n  }` : `{${lines.join()}}`;
}

/** One word of a POSIX shell. */
function quoted(text) {
  return /^[\w.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
