// One decision, opened: what was asked, why this was taken, what it cost, what came of it.

import { post } from "../api.js";
import { element, facts, fill } from "../element.js";
import { allowance, moment, percent } from "../figure.js";
import { Feedback } from "../feedback.js";
import { planLabel } from "../plan.js";
import { candidates, expectations, stages } from "../receipt.js";
import { why } from "../try/advice.js";
import { plan as readPlan } from "../wire/advice.js";
import { planBody } from "../wire/request.js";
import { hint } from "../term.js";
import { comparison } from "./comparison.js";
import { verdict } from "./list.js";

/** The card of a decision as wire/ makes it. */
export function record(decision) {
  const feedback = new Feedback(decision.id, decision.feedback);
  return element(
    "article",
    { class: "card record", "aria-labelledby": "record-title", tabindex: -1 },
    element(
      "div",
      { class: "heading" },
      element("h2", { id: "record-title" }, "Decision"),
      element("span", { class: "mono small soft" }, decision.id),
    ),
    element("h3", {}, "Question"),
    element("p", { class: "mono written" }, asked(decision)),
    element("h3", {}, "Answer"),
    decision.answer === null
      ? element(
          "p",
          { class: "note" },
          `None: ${decision.outcome.replaceAll("_", " ")}${decision.error ? ` (${decision.error})` : ""}.`,
        )
      : element("p", { class: "mono result" }, decision.answer),
    element("div", { class: "row" }, feedback.element, verdict(decision.feedback)),
    element("h3", {}, "Why"),
    decision.reason
      ? element("p", {}, `The planner did not choose: ${reason(decision.reason)}.`)
      : null,
    decision.stages.length ? stages(decision.stages) : null,
    decision.isHashed || decision.reason ? null : features(decision),
    decision.comparison ? element("h3", {}, "What the planner would have done") : null,
    decision.comparison ? comparison(decision.comparison) : null,
    element("h3", {}, "What it cost"),
    element(
      "div",
      { class: "receipt-columns" },
      expectations(decision),
      facts([
        ["When", moment(decision.created)],
        ["Plan", planLabel(decision.plan, decision)],
        ["Domain", decision.domain],
        ["Budget", allowance(decision.budget) + (decision.budgetSource ? ` (${decision.budgetSource})` : "")],
        ["Outcome", decision.outcome.replaceAll("_", " ")],
        [
          ["Propensity", hint("propensity")],
          decision.propensity === null || decision.propensity === 1 ? null : percent(decision.propensity),
        ],
        ["Endpoint", decision.endpoint],
        ["Key", decision.key],
        [
          "Planner",
          decision.planner
            ? element("span", { class: "mono small", title: decision.planner }, decision.planner.slice(0, 12))
            : null,
        ],
      ]),
    ),
    candidates(decision, feedback),
  );
}

function reason(code) {
  return code === "shadow" ? "the server is in shadow mode" : code.replaceAll("_", " ");
}

function asked({ question, isHashed }) {
  if (isHashed) return `Kept as a hash only: ${question}`;
  return question || "It was not kept.";
}

/** The features that speak loudest for this question: asked for when it is opened, since only the planner knows. */
function features(decision) {
  const place = element("div", {});
  const details = element(
    "details",
    {
      ontoggle: async () => {
        if (!details.open || place.childNodes.length) return;
        fill(place, element("p", { class: "soft small", role: "status" }, "Asking the planner…"));
        try {
          const body = planBody({
            ...decision,
            plan: null,
            preset: null,
            policy: null,
            prm: null,
            budget: Object.keys(decision.budget).length ? decision.budget : null,
          });
          const now = readPlan(await post("v1/plan", body));
          fill(
            place,
            now.why.length
              ? [
                  element(
                    "p",
                    { class: "soft small" },
                    "Of the question alone, by the planner that serves now:",
                  ),
                  why(now.why),
                ]
              : element("p", { class: "soft small" }, "No feature made a difference."),
          );
        } catch (error) {
          fill(place, element("p", { class: "bad small" }, error.message));
        }
      },
    },
    element("summary", {}, "Main factors"),
    place,
  );
  return details;
}
