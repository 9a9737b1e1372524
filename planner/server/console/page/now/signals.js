// Signals that questions have left what the planner learned: which, since when, and what a refit needs.

import { element } from "../element.js";
import { count } from "../figure.js";

/** `signals`: {raised: [{name, since, detail}], problems, words}, or null. */
export function signals(signals) {
  if (!signals) return null;
  const { raised, problems, words } = signals;
  if (!raised.length) return element("p", { class: "good" }, "No signal is raised: what was learned decides.");
  return element(
    "div",
    {},
    element("p", { class: "bad" }, "Questions have left what was learned: rules decide, and less is promised."),
    element(
      "ul",
      {},
      ...raised.map((one) =>
        element("li", {}, one.name, since(one.since), one.detail ? element("span", { class: "soft" }, ` ${one.detail}`) : null),
      ),
    ),
    element(
      "p",
      { class: "soft small" },
      `A refit needs about ${count(problems)} new problems, or ${count(words)} decisions with feedback.`,
    ),
  );
}

function since(seconds) {
  return seconds === null ? null : ` since ${new Date(1000 * seconds).toISOString().slice(0, 16).replace("T", " ")} UTC:`;
}
