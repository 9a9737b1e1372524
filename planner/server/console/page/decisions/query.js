// What to look for among past decisions. `onquery()` is called when that changes; `query` has it in the API's words.

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
/** name -> seconds */
const TIMES = { "last hour": 3600, "last day": 86400, "last week": 604800 };

export class DecisionQuery {
  constructor(onquery) {
    const soon = () => this._soon(onquery);
    const text = (id, placeholder, more = {}) =>
      element("input", { id, type: "search", placeholder, spellcheck: "false", oninput: soon, ...more });
    const choose = (id, first, options) =>
      element(
        "select",
        { id, onchange: onquery },
        element("option", { value: "" }, first),
        ...options.map(([value, name]) => element("option", { value }, name)),
      );
    this._text = text("query-text", "part of a question or an answer");
    this._policy = choose("query-policy", "any", []);
    this._plan = text("query-plan", "any, or majority", { list: "query-plans" });
    this._plans = element("datalist", { id: "query-plans" });
    this._domain = text("query-domain", "any");
    this._outcome = choose(
      "query-outcome",
      "any",
      OUTCOMES.map((value) => [value, value.replaceAll("_", " ")]),
    );
    this._feedback = choose("query-feedback", "with or without", [
      ["true", "with"],
      ["false", "without"],
    ]);
    this._time = choose(
      "query-time",
      "any time",
      Object.entries(TIMES).map(([name, value]) => [value, name]),
    );
    this.element = element(
      "form",
      {
        class: "query",
        role: "search",
        "aria-label": "Decisions",
        onsubmit: (event) => {
          event.preventDefault();
          onquery();
        },
      },
      field("Text", this._text),
      field("Policy", this._policy),
      field("Plan", this._plan, this._plans),
      field("Domain", this._domain),
      field("Status", this._outcome),
      field("Feedback", this._feedback),
      field("Time", this._time),
    );
  }

  /** What the server has, as wire/ reads it. */
  offer({ policies, plans }) {
    const chosen = this._policy.value;
    this._policy.replaceChildren(
      element("option", { value: "" }, "any"),
      ...policies.map(({ name }) => element("option", { value: name }, name)),
    );
    if (policies.some(({ name }) => name === chosen)) this._policy.value = chosen;
    const strategies = [...new Set(plans.map((plan) => plan.split("(")[0]))];
    this._plans.replaceChildren(...[...strategies, ...plans].map((value) => element("option", { value })));
  }

  get query() {
    const past = Number(this._time.value);
    return {
      text: this._text.value.trim(),
      policy: this._policy.value,
      plan: this._plan.value.trim(),
      domain: this._domain.value.trim(),
      outcome: this._outcome.value,
      feedback: this._feedback.value,
      since: past ? Math.floor(Date.now() / 1000) - past : "",
    };
  }

  /** Waits until the typing rests. */
  _soon(ask) {
    clearTimeout(this._timer);
    this._timer = setTimeout(ask, 250);
  }
}

function field(name, input, ...more) {
  return element("div", {}, element("label", { for: input.id }, name), input, ...more);
}
