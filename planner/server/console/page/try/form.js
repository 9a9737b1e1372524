// The form: a question, what it may spend, who works on it. `onask(wish)`, `onplan(wish)`, `onstop()`.

import { element } from "../element.js";
import { NO_PRM } from "../wire/request.js";
import { Budget } from "./budget.js";
import { hint } from "../term.js";
import { EXAMPLES } from "./examples.js";

/** One of each strategy, whatever plans the server names besides. */
const PLANS = [
  "cot()",
  "majority(n=16)",
  "best_of_n(n=16)",
  "weighted_vote(n=16)",
  "beam_search(n=16, width=4)",
  "dvts(n=16, width=4)",
  "particle_filter(n=16)",
  "lookahead(n=16, width=4, depth=2)",
  "rebase(n=16)",
];
const DOMAINS = [...new Set(EXAMPLES.map((example) => example.domain))];

export class Form {
  constructor({ onask, onplan, onstop }) {
    this._question = element("textarea", {
      id: "question",
      rows: 4,
      maxlength: 100_000,
      spellcheck: "false",
      placeholder: "One problem with one answer",
      "aria-describedby": "question-hint",
      oninput: () => this._complain(false),
    });
    this._domain = element("select", { id: "domain" });
    this._plan = element("input", {
      id: "plan",
      list: "plans",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "the planner picks",
    });
    this._plans = element("datalist", { id: "plans" });
    this._policy = element("select", { id: "policy" });
    this._prm = element("select", { id: "prm" });
    this._budget = new Budget();
    this._ask = element("button", { class: "first", type: "submit" }, "Ask");
    this._only = element("button", { type: "button", onclick: () => this._send(onplan) }, "Plan only");
    this._stop = element("button", { type: "button", hidden: true, onclick: onstop }, "Stop");
    this._keys = element("span", { class: "soft small keys" }, "Ctrl+Enter asks");
    this._hint = element(
      "p",
      { id: "question-hint", class: "bad small", hidden: true },
      "A question must hold some text.",
    );
    this.element = element(
      "form",
      {
        class: "card ask",
        novalidate: true,
        "aria-label": "Ask",
        onsubmit: (event) => {
          event.preventDefault();
          if (!this._ask.disabled) this._send(onask);
        },
        onkeydown: (event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.element.requestSubmit();
        },
      },
      element("div", {}, element("label", { for: "question" }, "Question"), this._question, this._hint),
      element(
        "div",
        { role: "group", "aria-label": "Examples", class: "row examples" },
        ...EXAMPLES.map((example) =>
          element(
            "button",
            { type: "button", class: "small", title: example.question, onclick: () => this._take(example) },
            example.name,
          ),
        ),
      ),
      this._budget.element,
      element(
        "div",
        { class: "pair" },
        field("policy", "Policy", this._policy),
        field("prm", "PRM", this._prm),
      ),
      field("domain", "Domain", this._domain),
      field("plan", "Plan", this._plan, this._plans),
      element("div", { class: "row" }, this._ask, this._only, this._stop, this._keys),
    );
    this.offer({ policies: [], prms: [], presets: [], domains: DOMAINS, plans: [] });
    this._take(EXAMPLES[3]);
  }

  /** What the server has, as wire/ reads it. */
  offer({ policies, prms, presets, domains, plans, hasPrices }) {
    const named = ({ name, isUp }) => [name, isUp ? name : `${name} (down)`];
    refill(this._policy, [["", "any"], ...policies.map(named)]);
    refill(this._prm, [["", "any"], ...(prms.length ? [[NO_PRM, "none"]] : []), ...prms.map(named)]);
    refill(this._domain, [["", "the server's default"], ...domains.map((name) => [name, name])]);
    this._policy.disabled = policies.length === 0;
    this._prm.disabled = prms.length === 0;
    this._plans.replaceChildren(
      ...[...new Set([...PLANS, ...plans])].map((value) => element("option", { value })),
    );
    this._budget.offer(presets, hasPrices);
  }

  /** Whether a request is under way. */
  set busy(busy) {
    this._ask.disabled = busy;
    this._only.disabled = busy;
    this._stop.hidden = !busy;
    this._keys.hidden = busy;
  }

  focus() {
    this._question.focus();
  }

  _take({ question, domain }) {
    this._question.value = question;
    this._domain.value = domain;
    this._complain(false);
  }

  _send(take) {
    const question = this._question.value.trim();
    this._complain(!question);
    if (!question) return this._question.focus();
    take({
      question,
      domain: this._domain.value || null,
      budget: this._budget.value,
      preset: this._budget.model,
      plan: this._plan.value.trim() || null,
      policy: this._policy.value || null,
      prm: this._prm.value || null,
    });
  }

  _complain(isEmpty) {
    this._hint.hidden = !isEmpty;
    this._question.setAttribute("aria-invalid", String(isEmpty));
  }
}

function field(id, name, ...inputs) {
  return element(
    "div",
    {},
    element("div", { class: "labelled" }, element("label", { for: id }, name), hint(id)),
    ...inputs,
  );
}

function refill(select, options) {
  const kept = select.value;
  select.replaceChildren(...options.map(([value, name]) => element("option", { value }, name)));
  if (options.some(([value]) => value === kept)) select.value = kept;
}
