// Past decisions.

import { candidate, choice, figures, stage } from "./part.js";
import { list, number, text } from "./value.js";

/** A decision, as GET v1/decisions lists it and GET v1/decisions/{id} opens it. */
export function decision(said) {
  return {
    ...choice(said),
    id: text(said.id),
    created: number(said.created),
    endpoint: said.endpoint ?? null,
    key: said.key ?? null,
    question: text(said.question),
    isHashed: text(said.question).startsWith("hmac-sha256:"),
    domain: said.domain ?? null,
    planner: said.planner ?? null,
    budget: said.budget ?? {},
    budgetSource: said.budget_source ?? null,
    reason: said.reason ?? null,
    answer: said.answer ?? null,
    outcome: text(said.outcome ?? "answered"),
    error: said.error ?? null,
    propensity: number(said.propensity),
    expected: {
      ...figures({}),
      accuracy: number(said.accuracy),
      tokens: number(said.tokens),
      flops: number(said.flops),
      seconds: number(said.seconds),
      usd: number(said.usd),
    },
    spend: figures(said.spend),
    warnings: [],
    ended: null,
    stages: list(said.steps).map(stage),
    candidates: list(said.candidates).map(candidate),
    chosen: number(said.chosen),
    feedback: list(said.feedback),
    comparison: said.comparison ? comparison(said.comparison) : null,
  };
}

/** What a decision of shadow mode is compared with. */
function comparison(said) {
  const of = (one) => (one ? { ...choice(one), ...figures(one) } : null);
  return {
    plain: of(said.plain),
    planned: of(said.planned),
    vote: of(said.vote),
    reason: said.reason ? text(said.reason) : null,
  };
}

/** GET v1/decisions: a page of them; `next` is what to pass as `before`. */
export function decisions(said) {
  return { records: list(said.data).map(decision), next: said.next ?? null };
}
