// The receipt at the end of an answer.

import { candidate, choice, figures, stage, target } from "./part.js";
import { list, number, text } from "./value.js";

/** Why drawing ended before all was drawn. */
export const ENDED = {
  settled: "Drawing ended early: what was missing could not change the vote any more.",
  price: "Drawing ended early: the rest was not worth its price.",
  deadline: "Drawing ended at the deadline.",
  policy_failed: "The policy failed: this is the best answer of what it had written by then.",
};

/** A receipt as a decision: what both have in common, and null where a receipt knows nothing. */
export function receipt(said, id) {
  const all = list(said.candidates);
  const chosen = all.findIndex((one) => one.chosen === true);
  return {
    ...choice(said),
    id: said.id ?? id,
    reason: said.detail ?? said.reason ?? null,
    budget: said.budget?.asked ?? {},
    budgetSource: said.budget?.source ?? null,
    expected: figures(said.expected),
    spend: figures(said.spend),
    answer: said.answer ?? null,
    outcome: text(said.outcome ?? "answered"),
    agreement: number(said.agreement),
    target: target(said.target),
    ended: ENDED[said.ended] ?? null,
    warnings: [
      ...list(said.warnings).map(text),
      ...list(said.without).map((name) => `${text(name)} is down: it was left out.`),
      ...(said.escalated === true ? ["Another policy than the first one answered."] : []),
      ...(number(said.budget?.share) < 1
        ? [`The budget was cut to ${Math.round(100 * said.budget.share)}% under load.`]
        : []),
    ],
    stages: list(said.stages).map(stage),
    candidates: all.map(candidate),
    chosen: chosen < 0 ? null : chosen,
  };
}
