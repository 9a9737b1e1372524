// What the planner would have done for a request that the plain model answered, and what is expected of both.

import { element } from "../element.js";
import { count, flops, percent, usd } from "../figure.js";
import { planLabel } from "../plan.js";

const ROWS = [
  ["plain", "Plain answer"],
  ["planned", "The planner's plan"],
  ["vote", "A plain vote as good"],
];

/** `comparison` as wire/ makes it. */
export function comparison(found) {
  if (!found.planned)
    return element(
      "p",
      {},
      `The same: it would not have planned${found.reason ? ` (${found.reason.replaceAll("_", " ")})` : ""}.`,
    );
  const rows = ROWS.filter(([name]) => found[name]);
  const hasMoney = rows.some(([name]) => found[name].usd !== null);
  return element(
    "div",
    { class: "scroll" },
    element(
      "table",
      { class: "would" },
      element("caption", { class: "visually-hidden" }, "What the planner would have done"),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, "Expected of"),
          ...["Right", "Tokens", "Compute", ...(hasMoney ? ["Money"] : [])].map((name) =>
            element("th", { scope: "col", class: "number" }, name),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        ...rows.map(([name, title]) => {
          const one = found[name];
          return element(
            "tr",
            {},
            element("td", {}, title, element("span", { class: "small models" }, planLabel(one.plan, one))),
            element("td", { class: "number" }, percent(one.accuracy)),
            element("td", { class: "number" }, count(one.tokens)),
            element("td", { class: "number" }, flops(one.flops)),
            hasMoney ? element("td", { class: "number" }, usd(one.usd)) : null,
          );
        }),
      ),
    ),
  );
}
