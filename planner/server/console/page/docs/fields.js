// The fields of a schema, one a line; what lies within opens when it is asked for, so a schema may hold itself.

import { element } from "../element.js";
import { bounds, named, within } from "./schema.js";
import { prose } from "./prose.js";

/** A list of the fields of an object, in the schema's order with the required ones first; null without any. */
export function fields(schema, follow) {
  const own = Object.entries(schema.properties ?? {});
  if (!own.length) return null;
  const required = new Set(schema.required ?? []);
  const first = own.filter(([name]) => required.has(name));
  const rest = own.filter(([name]) => !required.has(name));
  return element(
    "ul",
    { class: "fields" },
    ...[...first, ...rest].map(([name, part]) => field(name, part, required.has(name), follow)),
  );
}

/** One field or parameter: its name, type, `place` and bounds, what is said of it, and what lies within. */
export function field(name, part, isRequired, follow, { place = null, said = null } = {}) {
  const schema = follow(part) ?? {};
  const rules = bounds(schema, follow);
  const description = said ?? schema.description ?? "";
  return element(
    "li",
    {},
    element(
      "div",
      { class: "field" },
      element("span", { class: "mono field-name" }, name),
      element("span", { class: "field-type" }, named(schema, follow)),
      place ? element("span", { class: "tag" }, place) : null,
      isRequired ? element("span", { class: "tag chosen" }, "required") : null,
      rules ? element("span", { class: "soft small" }, rules) : null,
    ),
    description ? element("p", { class: "soft small" }, ...prose(description)) : null,
    ...within(schema, follow).map((inner) => nested(inner, follow)),
  );
}

/** The fields of an object, closed until it is opened. */
export function nested(schema, follow, words = null) {
  const details = element(
    "details",
    {
      ontoggle: () => {
        if (details.open && details.childNodes.length === 1) details.append(fields(schema, follow));
      },
    },
    element("summary", {}, words ?? `Fields of ${schema.title || "the object"}`),
  );
  return details;
}
