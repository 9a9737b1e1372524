// A JSON schema in words, and what lies within it. Knows nothing of elements. A schema may hold itself: beyond
// so many levels it is "…".

const DEEPEST = 8;

const LIMITS = [
  ["minimum", (n) => `≥ ${short(n)}`],
  ["exclusiveMinimum", (n) => `> ${short(n)}`],
  ["maximum", (n) => `≤ ${short(n)}`],
  ["exclusiveMaximum", (n) => `< ${short(n)}`],
  ["minLength", (n) => `at least ${short(n)} ${n === 1 ? "character" : "characters"}`],
  ["maxLength", (n) => `at most ${short(n)} characters`],
  ["minItems", (n) => `at least ${short(n)}`],
  ["maxItems", (n) => `at most ${short(n)}`],
  ["pattern", (text) => `matches ${text}`],
];

/** 9223372036854775807 -> "9.2e18": bounds that large mean "fits a machine's word". */
function short(value) {
  return Math.abs(value) >= 1e9 ? value.toExponential(1).replace(".0", "").replace("+", "") : String(value);
}

/** The alternatives of a schema, followed, null left out; one that has none is its only alternative. */
function alternatives(schema, follow, depth = 0) {
  const given = schema.anyOf ?? schema.oneOf;
  if (!given || depth > DEEPEST) return [schema];
  return given
    .map(follow)
    .filter((one) => one && one.type !== "null")
    .flatMap((one) => alternatives(one, follow, depth + 1));
}

/** The type in words: "integer or BudgetBody or null", "array of Message", "\"low\" | \"high\"". */
export function named(schema, follow, depth = 0) {
  if (depth > DEEPEST) return "…";
  const words = alternatives(schema, follow).map((one) => single(one, follow, depth));
  const isNullable = (schema.anyOf ?? schema.oneOf ?? []).some((one) => one.type === "null");
  return [...new Set([...words, ...(isNullable ? ["null"] : [])])].join(" or ");
}

function single(schema, follow, depth) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `array of ${named(follow(schema.items) ?? {}, follow, depth + 1)}`;
  if (schema.properties && schema.title) return schema.title;
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  return schema.type ?? "any";
}

/** The bounds of a value, of all of its alternatives: "≥ 1, default 50". */
export function bounds(schema, follow) {
  const said = alternatives(schema, follow)
    .filter((one) => !one.properties)
    .flatMap((one) =>
      LIMITS.filter(([name]) => one[name] !== undefined).map(([name, say]) => say(one[name])),
    );
  const preset = schema.default;
  if (preset !== undefined && preset !== null) said.push(`default ${JSON.stringify(preset)}`);
  return [...new Set(said)].join(", ");
}

/** The objects with fields that a value is, or is a list of, each once. */
export function within(schema, follow, depth = 0) {
  const found = [];
  if (depth > DEEPEST) return found;
  for (const one of alternatives(schema, follow)) {
    if (one.type === "array") found.push(...within(follow(one.items) ?? {}, follow, depth + 1));
    else if (Object.keys(one.properties ?? {}).length) found.push(one);
  }
  return found.filter(
    (one, at) => found.findIndex((other) => other.title === one.title) === at || !one.title,
  );
}
