// What is promised of a stream of requests where the budget is an accuracy.

import { percent } from "../figure.js";

/** A sentence; null without a target. */
export function target(said) {
  if (!said) return null;
  const asked = `Asked for: ${percent(said.asked)} right, on average over many such requests`;
  const sure = said.confidence === null ? "" : ` with a confidence of ${percent(said.confidence)}`;
  const least = said.low === null ? "" : `, at least ${percent(said.low)}`;
  return said.reached
    ? `${asked}${sure}. Expected of them: ${percent(said.accuracy)}${least}.`
    : `${asked}${sure}. No price of compute gets there; the most accurate way is expected to be right in ${percent(said.accuracy)}${least}.`;
}
