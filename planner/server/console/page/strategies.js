// The strategies as the server describes them: captions, how they vote, whether a probe's samples join them.
// Until it has been asked, and for a name that it does not know, everything is as usual.

import { get } from "./api.js";
import { strategies as read } from "./wire/strategies.js";

let known = new Map();

/** Asks the server what there is. A server that does not tell leaves everything as usual. */
export async function learnStrategies() {
  try {
    known = read(await get("v1/strategies"));
  } catch {
    // an older server, or no key yet: names are shown as they are written
  }
}

/** "majority(n=16)" -> {strategy: "majority", numbers: "n=16"}. */
export function parts(plan) {
  const text = String(plan ?? "");
  const open = text.indexOf("(");
  if (open < 0) return { strategy: text, numbers: "" };
  return { strategy: text.slice(0, open), numbers: text.slice(open + 1, text.lastIndexOf(")")) };
}

/** What a plan's strategy does, in words; "" where nobody told. */
export function caption(plan) {
  return known.get(parts(plan).strategy)?.caption ?? "";
}

/** How a plan picks its answer: "majority", "weighted" or "max". */
export function voteOf(plan) {
  const { strategy, numbers } = parts(plan);
  const own = /(?:^|,)\s*vote=(\w+)\s*(?:,|$)/.exec(numbers);
  return own?.[1] ?? known.get(strategy)?.vote ?? "majority";
}

/** Whether samples that were drawn before a plan compete for its answer. */
export function joinsProbe(plan) {
  return known.get(parts(plan).strategy)?.joinsProbe ?? true;
}
