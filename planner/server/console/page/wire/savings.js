// What planning would have saved or gained.

import { number, text } from "./value.js";

/** GET v1/savings. */
export function savings(said) {
  return {
    isShadow: said.shadow === true,
    share: number(said.share) ?? 0,
    dropped: number(said.dropped) ?? 0,
    requests: number(said.requests) ?? 0,
    planned: number(said.planned) ?? 0,
    unit: ["usd", "flops"].includes(said.unit) ? said.unit : "tokens",
    plainCost: number(said.plain_cost),
    plannedCost: number(said.planned_cost),
    accuracy: figure(said.accuracy),
    cost: figure(said.cost),
    voteCost: figure(said.vote_cost),
    pairs: number(said.pairs) ?? 0,
    agreement: figure(said.agreement),
    measuredAccuracy: figure(said.measured_accuracy),
    measuredCost: figure(said.measured_cost),
    rule: text(said.rule),
  };
}

/** A figure that is not known must not be shown. */
function figure(said) {
  const found = { value: number(said?.value), low: number(said?.low), high: number(said?.high) };
  return { ...found, isKnown: said?.is_known === true && found.low !== null && found.high !== null };
}
