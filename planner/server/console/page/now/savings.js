// What planning would have saved or gained (shadow mode): expected and measured apart, and nothing that says nothing.

import { element } from "../element.js";
import { count, flops, percent, points, tokens, usd } from "../figure.js";

const AMOUNTS = { usd, flops, tokens };
const UNITS = { usd: "money", flops: "compute", tokens: "tokens" };

/** `found` as wire/ makes it. */
export function savings(found) {
  if (!found.requests)
    return element(
      "p",
      { class: "soft" },
      found.isShadow
        ? "No request so far. What the planner would have saved or gained will stand here."
        : "Known of servers in shadow mode (planner serve --shadow): there the plain model answers, and what the planner would have saved or gained stands here.",
    );
  const unit = UNITS[found.unit];
  const amount = AMOUNTS[found.unit];
  return element(
    "div",
    {},
    element(
      "p",
      {},
      `The planner would have planned ${count(found.planned)} of ${count(found.requests)} requests`,
      found.plainCost === null
        ? "."
        : `: ${amount(found.plannedCost)} expected, instead of ${amount(found.plainCost)}.`,
    ),
    group("Expected by the planner's model", [
      ["Accuracy", found.accuracy, points],
      [`Cost (${unit})`, found.cost, change],
      ["Cost beside an equally good plain vote", found.voteCost, change],
    ]),
    found.share > 0 || found.pairs
      ? group(`Measured on ${count(found.pairs)} requests that were run both ways`, [
          ["Equal answers", found.agreement, percent],
          ["Accuracy, by feedback", found.measuredAccuracy, points],
          [`Cost (${unit})`, found.measuredCost, change],
        ])
      : element(
          "p",
          { class: "soft small" },
          "Nothing is measured: --shadow-share runs the plan beside a sample of the answers.",
        ),
    found.dropped
      ? element("p", { class: "soft small" }, `${count(found.dropped)} of the sample were dropped: too many waited.`)
      : null,
    element("details", {}, element("summary", {}, "When a figure is shown"), element("p", { class: "soft small" }, found.rule)),
  );
}

function group(name, rows) {
  return element(
    "div",
    { class: "figures" },
    element("h3", {}, name),
    element(
      "dl",
      {},
      ...rows.map(([title, figure, words]) =>
        element("div", {}, element("dt", {}, title), element("dd", {}, told(figure, words))),
      ),
    ),
  );
}

function told(figure, words) {
  if (!figure.isKnown) return element("span", { class: "soft" }, "not enough decisions");
  const range = `${words(figure.low)} to ${words(figure.high)}`;
  if (figure.value === null) return [element("b", {}, range), " "];
  return [element("b", {}, words(figure.value)), element("span", { class: "soft small" }, ` 95%: ${range}`)];
}

/** -0.4 -> "40% less". */
function change(value) {
  if (Math.abs(value) < 0.005) return "the same";
  if (value >= 1) return `${(1 + value).toFixed(1)} times`;
  return `${percent(Math.abs(value))} ${value < 0 ? "less" : "more"}`;
}
