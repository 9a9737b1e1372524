// The answer with its receipt: what was expected beside what came, how it was decided, and feedback.

import { element, facts, fill } from "../element.js";
import { allowance, percent } from "../figure.js";
import { Feedback } from "../feedback.js";
import { planLabel } from "../plan.js";
import { candidates, expectations, stages } from "../receipt.js";
import { doubts } from "./confidence.js";
import { target } from "./target.js";

/** Outcomes without an answer, in words. */
const WITHOUT = {
  unreadable: "No answer can be read from what was written.",
  budget: "The budget let no solution finish.",
  deadline: "Time was up before any solution finished.",
  step_limit: "Every branch came to its limit without an answer.",
  abstained: "The planner abstained: it expects no affordable plan to be right often enough.",
};

export class Answer {
  constructor() {
    this.element = element("section", { class: "card answer", "aria-label": "The answer", hidden: true });
  }

  /** Text of the answer as it comes, before the receipt. */
  stream(text) {
    this.element.hidden = false;
    fill(this.element, element("h2", {}, "The answer"), element("p", { class: "mono written" }, text));
  }

  /** `receipt` as wire/ makes it; `text`: what the API answered in full. */
  show(receipt, text) {
    const { answer, outcome } = receipt;
    const feedback = receipt.id ? new Feedback(receipt.id) : null;
    const doubt = doubts(receipt);
    this.element.hidden = false;
    fill(
      this.element,
      element(
        "div",
        { class: "heading" },
        element("h2", {}, "The answer"),
        outcome === "answered" ? null : element("span", { class: "tag bad" }, outcome.replaceAll("_", " ")),
        doubt.length ? element("span", { class: "tag doubt" }, "low confidence") : null,
      ),
      answer === null
        ? element(
            "p",
            { class: "note" },
            WITHOUT[outcome] ?? (text ? "It is free text: no answer is read from it." : "There is none."),
          )
        : element("p", { class: doubt.length ? "mono result doubt" : "mono result", role: "status" }, answer),
      doubt.length ? element("p", { class: "soft doubts" }, doubt.join(" ")) : null,
      feedback?.element,
      ...receipt.warnings.map((warning) => element("p", { class: "note" }, warning)),
      text && text.trim() !== answer
        ? element(
            "details",
            { open: answer === null },
            element("summary", {}, "As it was written"),
            element("p", { class: "mono written" }, text),
          )
        : null,
      element(
        "div",
        { class: "receipt-columns" },
        expectations(receipt),
        facts([
          ["Plan", planLabel(receipt.plan, receipt)],
          ["Agreement", receipt.agreement === null ? null : `${percent(receipt.agreement)} of the solutions`],
          ["Target", target(receipt.target)],
          ["Ended", receipt.ended],
          ["Reason", receipt.reason],
          [
            "Budget",
            Object.keys(receipt.budget).length
              ? `${allowance(receipt.budget)} (${receipt.budgetSource ?? "asked"})`
              : null,
          ],
          [
            "Decision",
            receipt.id
              ? element(
                  "a",
                  { href: `#decisions/${encodeURIComponent(receipt.id)}`, class: "mono" },
                  receipt.id,
                )
              : null,
          ],
        ]),
      ),
      receipt.stages.length > 1
        ? element(
            "details",
            {},
            element("summary", {}, `${receipt.stages.length} decisions`),
            stages(receipt.stages),
          )
        : null,
      candidates(receipt, feedback),
    );
  }

  clear() {
    this.element.hidden = true;
    fill(this.element);
  }
}
