// Why an answer may be less sure than it looks: poor rewards, or solutions that do not agree.

import { count, fraction, percent } from "../figure.js";

const AGREEMENT = 0.5;
const REWARD = 0.5;
/** Fewer solutions cannot disagree by much. */
const FEW = 3;

/** Reasons to doubt an answer, as sentences; none for one that is as sure as it may be. */
export function doubts({ answer, agreement, candidates, chosen }) {
  if (answer === null) return [];
  const found = [];
  if (agreement !== null && agreement < AGREEMENT && candidates.length >= FEW)
    found.push(`Only ${percent(agreement)} of ${count(candidates.length)} solutions agree with it.`);
  const rewards = candidates[chosen]?.rewards ?? [];
  const last = rewards[rewards.length - 1];
  if (last !== undefined && last < REWARD)
    found.push(`The reward model gives its last step ${fraction(last)} of 1.`);
  return found;
}
