// Why requests were turned away or failed, and when.

import { element } from "../element.js";
import { count } from "../figure.js";
import { line } from "./line.js";

const MOST = 8;

/** Codes that clients get, as people say them; others are shown as they are. */
const WORDS = {
  overloaded: "too busy: no place in the queue",
  requests_per_minute: "a key asked too often",
  tokens_per_minute: "a key spent its tokens",
  deadline: "the deadline had passed",
  budget: "a budget that cannot be kept",
  model_not_found: "an unknown model",
  policy_failed: "the policy's server failed",
  prm_failed: "the reward model's server failed",
  invalid_api_key: "a wrong or missing key",
  client_left: "the client left",
  too_large: "the request is too large",
};

/** `now` as wire/ makes it. */
export function causes({ refusals, failures, series, requests }) {
  const all = [
    ...failures.map((one) => ({ ...one, kind: "failures", tag: "failed" })),
    ...refusals.map((one) => ({ ...one, kind: "refusals", tag: "refused" })),
  ].sort((a, b) => b.requests - a.requests);
  if (!all.length) {
    const known = (requests.failed ?? 0) + (requests.refused ?? 0);
    return element(
      "p",
      { class: "empty" },
      known ? "None within this window." : "No request was refused, and none failed.",
    );
  }
  return element(
    "ul",
    { class: "causes" },
    ...all.slice(0, MOST).map(({ cause, requests: number, kind, tag }) =>
      element(
        "li",
        {},
        element("span", { class: kind === "failures" ? "tag bad" : "tag" }, tag),
        element("span", { title: cause }, WORDS[cause] ?? cause.replaceAll("_", " ")),
        element("span", { class: "number" }, count(number)),
        line(
          series.map((one) => one[kind][cause] ?? 0),
          `${cause} over time`,
          count,
        ),
      ),
    ),
  );
}
