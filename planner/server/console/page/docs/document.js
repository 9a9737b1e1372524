// The OpenAPI document as this page needs it: operations in groups, parts followed where they are named.

const METHODS = ["get", "post", "put", "patch", "delete"];

/** `{title, version, description, groups: [{name, operations}]}`; what is not there is empty. */
export function read(said) {
  const found = [];
  for (const [path, methods] of Object.entries(said.paths ?? {})) {
    for (const method of METHODS) {
      if (methods[method]) found.push(operation(said, path, method, methods[method]));
    }
  }
  const names = [...new Set([...(said.tags ?? []).map((tag) => tag.name), ...found.map((one) => one.group)])];
  return {
    title: said.info?.title ?? "",
    version: said.info?.version ?? "",
    description: said.info?.description ?? "",
    groups: names
      .map((name) => ({ name, operations: found.filter((one) => one.group === name) }))
      .filter(({ operations }) => operations.length),
  };
}

function operation(said, path, method, one) {
  const follow = (part) => followed(said, part);
  const body = follow(one.requestBody)?.content?.["application/json"] ?? null;
  return {
    id: `${method}-${path}`
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/-$/, ""),
    group: one.tags?.[0] ?? "Others",
    method,
    path,
    description: one.description ?? one.summary ?? "",
    wantsKey: Boolean((one.security ?? said.security)?.length),
    parameters: (one.parameters ?? []).map(follow),
    body,
    answers: Object.entries(one.responses ?? {}).map(([status, answer]) => ({ status, ...follow(answer) })),
    follow,
  };
}

/** The part that `{"$ref": "#/a/b"}` names, with its own name as `title`; any other part as it is. */
function followed(said, part) {
  const seen = new Set();
  while (typeof part?.$ref === "string" && !seen.has(part.$ref)) {
    seen.add(part.$ref);
    const keys = part.$ref.replace(/^#\//, "").split("/");
    const named = keys.reduce(
      (node, key) => (node && Object.hasOwn(node, unescaped(key)) ? node[unescaped(key)] : undefined),
      said,
    );
    part = named && typeof named === "object" ? { ...named, title: keys.at(-1) } : {};
  }
  return part;
}

/** A part of a JSON pointer: "a~1b" -> "a/b". */
function unescaped(key) {
  return key.replaceAll("~1", "/").replaceAll("~0", "~");
}
