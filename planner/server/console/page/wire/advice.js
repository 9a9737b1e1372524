// What the planner advises, before anything is spent or between two probes.

import { choice, figures, probe, target } from "./part.js";
import { list, number, text } from "./value.js";

/** POST v1/plan of one question. */
export function plan(said) {
  return {
    ...advice(said.advice ?? {}),
    reason: said.detail ?? said.reason ?? null,
    isForced: said.reason === "forced_plan" || said.reason === "policy",
    alternatives: list(said.alternatives).map((one) => ({
      ...choice(one),
      accuracy: number(one.accuracy),
      tokens: number(one.tokens),
      tokensP90: number(one.tokens_p90),
      fits: one.fits !== false,
      isOver: one.over === true,
    })),
    why: why(said.why),
  };
}

/** What a stage decided, alone or within a plan. */
export function advice(said) {
  return {
    ...choice(said),
    ...figures(said),
    interval: Array.isArray(said.interval) ? said.interval : null,
    tokensP90: number(said.tokens_p90),
    probe: said.look ? probe(said.look) : null,
    abstain: said.abstain === true,
    target: target(said.target),
    warnings: list(said.warnings).map(text),
  };
}

function why(said) {
  return list(said)
    .filter((one) => number(one?.effect) !== null)
    .map((one) => ({ feature: text(one.feature), value: number(one.value), effect: one.effect }));
}
