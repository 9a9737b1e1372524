// One operation: what it does, the command that asks for it, what it takes and how it answers.

import { element } from "../element.js";
import { copied } from "./copied.js";
import { curl } from "./example.js";
import { field, fields, nested } from "./fields.js";
import { prose } from "./prose.js";
import { within } from "./schema.js";

/** The card of an operation as document.js makes it. */
export function operation(one) {
  const title = `${one.id}-title`;
  return element(
    "article",
    { class: "card operation", id: one.id, "aria-labelledby": title },
    element(
      "h3",
      { id: title },
      element("span", { class: `method ${one.method}` }, one.method),
      " ",
      element("span", { class: "mono" }, one.path),
    ),
    element("p", {}, ...prose(one.description)),
    parameters(one),
    body(one),
    copied(curl(one, document.baseURI), `Copy the command for ${one.method} ${one.path}`),
    answers(one),
  );
}

function parameters({ parameters: all, follow }) {
  if (!all.length) return null;
  return element(
    "details",
    { open: true },
    element("summary", {}, "Parameters"),
    element(
      "ul",
      { class: "fields" },
      ...all.map((one) =>
        field(one.name, one.schema, Boolean(one.required), follow, { place: one.in, said: one.description }),
      ),
    ),
  );
}

function body({ body: one, follow }) {
  const schema = follow(one?.schema);
  const list = schema ? fields(schema, follow) : null;
  if (!list) return null;
  return element("details", {}, element("summary", {}, `Body: ${schema.title ?? "JSON"}`), list);
}

function answers({ answers: all, follow }) {
  const well = all.filter(({ status }) => status.startsWith("2"));
  const wrong = all.filter(({ status }) => !status.startsWith("2"));
  return [
    ...well.flatMap((answer) =>
      Object.entries(answer.content ?? {}).map(([kind, { schema }]) => {
        const inner = within(follow(schema) ?? {}, follow);
        const words = `${answer.status}, ${kind}`;
        if (!inner.length) return element("p", { class: "small soft answer" }, words);
        if (inner.length === 1) return nested(inner[0], follow, `${words}: ${inner[0].title ?? "an object"}`);
        return element(
          "details",
          {},
          element("summary", {}, `${words}: ${inner.map((each) => each.title).join(" or ")}`),
          ...inner.map((each) => nested(each, follow)),
        );
      }),
    ),
    wrong.length ? errors(wrong, follow) : null,
  ];
}

function errors(all, follow) {
  const schema = follow(Object.values(all[0].content ?? {})[0]?.schema);
  return element(
    "details",
    {},
    element("summary", {}, "Errors"),
    element(
      "dl",
      { class: "facts" },
      ...all.flatMap(({ status, description }) => [
        element("dt", { class: "mono" }, status),
        element("dd", {}, ...prose(description ?? "")),
      ]),
    ),
    schema?.properties ? nested(schema, follow) : null,
  );
}
