// Parts of a receipt that an answer and a past decision share.

import { element } from "./element.js";
import { count, flops, fraction, percent, seconds, usd } from "./figure.js";
import { planLabel } from "./plan.js";

const UNKNOWN = "–";

/** Expected beside actual values, one row per figure that is known. */
export function expectations({ expected, spend, feedback = [] }) {
  const verdict = feedback.findLast((one) => typeof one.correct === "boolean");
  const rows = [
    ["Right", percent(expected.accuracy), verdict ? (verdict.correct ? "yes" : "no") : UNKNOWN],
    ["Tokens", count(expected.tokens), count(spend.tokens)],
    ["of the policy", null, count(spend.policyTokens)],
    ["of the PRM", null, count(spend.prmTokens)],
    ["Compute", flops(expected.flops), flops(spend.flops)],
    ["Time", seconds(expected.seconds), seconds(spend.seconds)],
    ["Money", usd(expected.usd), usd(spend.usd)],
  ].filter(([, before, after]) => (before ?? UNKNOWN) !== UNKNOWN || after !== UNKNOWN);
  return element(
    "div",
    { class: "scroll" },
    element(
      "table",
      { class: "receipt" },
      element("caption", { class: "visually-hidden" }, "Receipt"),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, "Receipt"),
          element("th", { scope: "col", class: "number" }, "Expected"),
          element("th", { scope: "col", class: "number" }, "Actual"),
        ),
      ),
      element(
        "tbody",
        {},
        ...rows.map(([name, before, after]) =>
          element(
            "tr",
            { class: before === null ? "part" : null },
            element("th", { scope: "row" }, name),
            element("td", { class: "number" }, before),
            element("td", { class: "number" }, after),
          ),
        ),
      ),
    ),
  );
}

/** What was known at each stage and what was taken then. */
export function stages(steps) {
  return element(
    "ol",
    { class: "stages" },
    ...steps.map((step) => {
      const right = step.accuracy === null ? "" : `, ${percent(step.accuracy)} right`;
      return element(
        "li",
        {},
        element("p", { class: "soft small" }, `Knowing ${step.probe}`),
        step.nextProbe
          ? element(
              "p",
              {},
              `Draw ${step.nextProbe} first; then most likely `,
              planLabel(step.plan),
              element("span", { class: "soft" }, right),
            )
          : element("p", {}, "Run ", planLabel(step.plan), element("span", { class: "soft" }, right)),
        step.spend.tokens
          ? element("p", { class: "soft small" }, `It took ${count(step.spend.tokens)} tokens.`)
          : null,
      );
    }),
  );
}

/** Every candidate, the chosen one marked; null without any. */
export function candidates({ candidates: all, chosen }, feedback = null) {
  if (!all.length) return null;
  return element(
    "details",
    { class: "candidates" },
    element("summary", {}, `${count(all.length)} ${all.length === 1 ? "candidate" : "candidates"}`),
    element(
      "ol",
      {},
      ...all.map((candidate, index) =>
        element(
          "li",
          {},
          element(
            "div",
            { class: "heading" },
            element("span", { class: "mono" }, candidate.answer ?? "unreadable"),
            element(
              "span",
              { class: "row small soft" },
              index === chosen ? element("span", { class: "tag chosen" }, "chosen") : null,
              candidate.rewards.length
                ? `last reward ${fraction(candidate.rewards[candidate.rewards.length - 1])}`
                : null,
              feedback ? feedback.candidateButton(index) : null,
            ),
          ),
          candidate.text ? element("p", { class: "mono small soft written" }, candidate.text) : null,
        ),
      ),
    ),
  );
}
