// Who is well: the policies, the PRMs, the decision log, the load.

import { element } from "../element.js";
import { count, percent } from "../figure.js";

/** `now` as wire/ makes it. */
export function health({ models, log, share, explore, exploration, planner }) {
  const lost = Number(log.lost) || 0;
  return element(
    "div",
    {},
    element(
      "ul",
      { class: "health" },
      ...models.map((model) => line(model.isUp, model.name, model.kind)),
      line(
        lost === 0,
        "decision log",
        lost ? `${count(lost)} decisions lost` : `${count(Number(log.waiting) || 0)} waiting to be written`,
      ),
      share === null
        ? null
        : line(share >= 1, "budgets", share >= 1 ? "in full" : `cut to ${percent(share)} under the load`),
    ),
    element(
      "p",
      { class: "soft small rest" },
      [
        planner ? `planner ${planner.slice(0, 12)}` : null,
        explore ? `${percent(explore)} of requests explore` : null,
        exploration?.decisions ? price(exploration) : null,
      ]
        .filter(Boolean)
        .join(" · "),
    ),
  );
}

function line(isWell, name, words) {
  return element(
    "li",
    {},
    element("span", { class: `tag ${isWell ? "good" : "bad"}` }, isWell ? "✓ well" : "✕ not well"),
    element("span", {}, element("b", {}, name), " ", element("span", { class: "soft small" }, words)),
  );
}

/** What exploration is expected to have cost, in answers that would have been right. */
function price({ decisions, accuracy }) {
  return `${decisions} ${decisions === 1 ? "decision" : "decisions"} explored, for about ${Math.max(0, accuracy).toFixed(1)} right answers`;
}
