// What can be asked for.

import { list, text } from "./value.js";

/** GET v1/models: what can be asked for. */
export function models(said) {
  const there = (all) => list(all).map((one) => ({ name: text(one.name), isUp: one.up !== false }));
  return {
    policies: there(said.planner?.policies),
    prms: there(said.planner?.prms),
    presets: Object.keys(said.planner?.presets ?? {}).map((name) => `planner-${name}`),
    domains: list(said.planner?.domains).map(text),
    plans: list(said.planner?.plans).map(text),
    hasPrices: said.planner?.prices === true,
  };
}
