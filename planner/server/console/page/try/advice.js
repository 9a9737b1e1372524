// The plan before anything is spent: what it expects, and what else there was.

import { bar, element, fill } from "../element.js";
import { count, percent, points, precise, tokens } from "../figure.js";
import { planLabel } from "../plan.js";
import { target } from "./target.js";

const MOST = 8;
const ABSTAINS = "No affordable plan is expected to be right often enough: it would abstain.";

export class Advice {
  constructor() {
    this.element = element("section", { class: "card advice", "aria-label": "The plan", hidden: true });
  }

  /** `advice` as wire/ makes it: the planner's own, or what it expects of a plan that was asked for. */
  show(advice) {
    this.element.hidden = false;
    // where nothing can be right or wrong, what would be right how often says nothing
    const known = advice.accuracy === null ? [] : advice.alternatives;
    const rows = [...known].sort((a, b) => Number(b.fits) - Number(a.fits) || b.accuracy - a.accuracy);
    fill(
      this.element,
      element(
        "div",
        { class: "heading" },
        element("h2", {}, advice.isForced ? "The plan that you asked for" : "The plan"),
        element("span", { class: "soft small" }, "nothing is spent so far"),
      ),
      advice.isForced
        ? element("p", { class: "note" }, "It runs as it is: the planner does not choose here.")
        : advice.reason
          ? element("p", { class: "note" }, advice.reason)
          : null,
      headline(advice),
      advice.target ? element("p", { class: "target" }, target(advice.target)) : null,
      advice.probe
        ? element("p", { class: "soft" }, `It first draws ${advice.probe}, and decides again.`)
        : null,
      advice.abstain ? element("p", { class: "note" }, ABSTAINS) : null,
      ...(advice.reason && !advice.isForced ? [] : advice.warnings).map((warning) =>
        element("p", { class: "note" }, warning),
      ),
      rows.length ? table(advice, rows.slice(0, MOST)) : null,
      rows.length > MOST ? element("p", { class: "soft small" }, `and ${rows.length - MOST} more`) : null,
      advice.why.length
        ? element("details", {}, element("summary", {}, "Main factors"), why(advice.why))
        : null,
    );
  }

  clear() {
    this.element.hidden = true;
  }
}

/** The features that spoke loudest, and how much each adds to the choice's accuracy over the runner-up's. */
export function why(reasons) {
  return element(
    "table",
    { class: "why" },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, "Feature"),
        element("th", { scope: "col", class: "number" }, "Value"),
        element("th", { scope: "col", class: "number" }, "Over the runner-up"),
      ),
    ),
    element(
      "tbody",
      {},
      ...reasons.map(({ feature, value, effect }) =>
        element(
          "tr",
          {},
          element("td", {}, feature.replaceAll("_", " ")),
          element("td", { class: "number" }, precise(value, 3)),
          element("td", { class: "number" }, points(effect)),
        ),
      ),
    ),
  );
}

function headline(advice) {
  const highest = advice.tokensP90 === null ? "" : `9 of 10 under ${count(advice.tokensP90)}`;
  return element(
    "div",
    { class: "headline" },
    element("p", { class: "chosen-plan" }, planLabel(advice.plan, advice)),
    promise(
      "expected right",
      advice.accuracy === null ? "unknown" : percent(advice.accuracy),
      advice.accuracy === null ? "" : interval(advice.interval),
    ),
    promise("expected tokens", advice.tokens === null ? "unknown" : count(advice.tokens), highest),
  );
}

function promise(name, figure, more) {
  return element(
    "p",
    { class: "promise" },
    element("span", { class: "soft small" }, name),
    element("b", {}, figure),
    more ? element("span", { class: "soft small" }, more) : null,
  );
}

/** Why a plan does not fit: it takes more than there is, or one request in ten does. */
function beyond({ isOver, tokensP90 }) {
  const most = tokensP90 === null ? "" : `: 9 of 10 requests take up to ${tokens(tokensP90)}`;
  return element(
    "span",
    { class: "tag", title: (isOver ? "It takes more than the budget" : "It may take more than the budget") + most },
    isOver ? "over the budget" : "may go over the budget",
  );
}

function interval(range) {
  return range ? `95%: ${percent(range[0])} to ${percent(range[1])}` : "";
}

function table(advice, rows) {
  const isChosen = (row) =>
    row.plan === advice.plan && row.policy === advice.policy && row.prm === advice.prm;
  const models = new Set(rows.map((row) => row.policy)).size > 1;
  return element(
    "div",
    { class: "scroll" },
    element(
      "table",
      { class: "alternatives" },
      element("caption", { class: "visually-hidden" }, "The plan and its alternatives"),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, "Plans compared"),
          element("th", { scope: "col" }, "Right"),
          element("th", { scope: "col", class: "number" }, "Tokens"),
        ),
      ),
      element(
        "tbody",
        {},
        ...rows.map((row) =>
          element(
            "tr",
            { class: isChosen(row) ? "is-chosen" : null },
            element(
              "td",
              {},
              planLabel(row.plan, { policy: models ? row.policy : null, prm: row.prm }),
              isChosen(row)
                ? element("span", { class: "tag" }, advice.isForced ? "asked for" : "chosen")
                : null,
              row.fits ? null : beyond(row),
            ),
            element(
              "td",
              {},
              element(
                "div",
                { class: "measure" },
                bar(row.accuracy),
                element("span", {}, percent(row.accuracy)),
              ),
            ),
            element("td", { class: "number", title: tokens(row.tokens) }, count(row.tokens)),
          ),
        ),
      ),
    ),
  );
}
