// What to look for among past decisions. `onquery(query)` gets it in the API's words.

import { element } from "../element.js";

const OUTCOMES = [
  "answered",
  "unreadable",
  "budget",
  "deadline",
  "step_limit",
  "abstained",
  "failed",
  "cancelled",
];

export class DecisionQuery {
  constructor(onquery) {
    const ask = () => onquery(this.query);
    this._text = element("input", {
      id: "query-text",
      type: "search",
      placeholder: "part of a question or an answer",
      oninput: () => this._soon(ask),
    });
    this._plan = element("input", {
      id: "query-plan",
      type: "search",
      placeholder: "any",
      spellcheck: "false",
      oninput: () => this._soon(ask),
    });
    this._domain = element("input", {
      id: "query-domain",
      type: "search",
      placeholder: "any",
      oninput: () => this._soon(ask),
    });
    this._outcome = element(
      "select",
      { id: "query-outcome", onchange: ask },
      element("option", { value: "" }, "any"),
      ...OUTCOMES.map((value) => element("option", { value }, value.replaceAll("_", " "))),
    );
    this._feedback = element(
      "select",
      { id: "query-feedback", onchange: ask },
      element("option", { value: "" }, "with or without"),
      element("option", { value: "true" }, "with"),
      element("option", { value: "false" }, "without"),
    );
    this.element = element(
      "form",
      {
        class: "query",
        role: "search",
        "aria-label": "Decisions",
        onsubmit: (event) => {
          event.preventDefault();
          ask();
        },
      },
      field("Text", this._text),
      field("Plan", this._plan),
      field("Domain", this._domain),
      field("Outcome", this._outcome),
      field("Feedback", this._feedback),
    );
  }

  get query() {
    return {
      text: this._text.value.trim(),
      plan: this._plan.value.trim(),
      domain: this._domain.value.trim(),
      outcome: this._outcome.value,
      feedback: this._feedback.value,
    };
  }

  /** Waits until the typing rests. */
  _soon(ask) {
    clearTimeout(this._timer);
    this._timer = setTimeout(ask, 250);
  }
}

function field(name, input) {
  return element("div", {}, element("label", { for: input.id }, name), input);
}
