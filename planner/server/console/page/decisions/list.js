// Past decisions, newest first, one line each.

import { element } from "../element.js";
import { ago, moment, percent, tokens } from "../figure.js";
import { planLabel } from "../plan.js";

/** One entry of the list: a link that opens the decision. */
export function entry(record, isOpen) {
  return element(
    "li",
    {},
    element(
      "a",
      {
        href: `#decisions/${encodeURIComponent(record.id)}`,
        class: "entry",
        "aria-current": isOpen ? "true" : null,
      },
      element(
        "span",
        { class: "entry-head small soft" },
        element("time", { title: moment(record.created) }, ago(record.created)),
        record.outcome === "answered"
          ? null
          : element("span", { class: "tag bad" }, record.outcome.replaceAll("_", " ")),
        verdict(record.feedback),
      ),
      element(
        "span",
        { class: "entry-question" },
        record.isHashed ? "a question kept as a hash" : record.question || "a question that was not kept",
      ),
      element(
        "span",
        { class: "entry-foot small" },
        planLabel(record.plan),
        element(
          "span",
          { class: "soft number" },
          [
            record.expected.accuracy === null ? null : percent(record.expected.accuracy),
            tokens(record.spend.tokens),
          ]
            .filter(Boolean)
            .join(" · "),
        ),
      ),
    ),
  );
}

/** The last word of feedback as a tag; null without any. */
export function verdict(feedback) {
  const last = feedback[feedback.length - 1];
  if (!last) return null;
  if (last.correct === true) return element("span", { class: "tag good" }, "✓ right");
  if (last.correct === false) return element("span", { class: "tag bad" }, "✕ wrong");
  if (typeof last.score === "number") return element("span", { class: "tag" }, `score ${last.score}`);
  return element("span", { class: "tag" }, `candidate ${last.candidate + 1} was right`);
}
