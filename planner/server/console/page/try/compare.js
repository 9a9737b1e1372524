// The answer beside the plain model's: one greedy answer, and a majority of sixteen. Nothing is run before its cost
// has been shown and somebody has asked for it.

import { post } from "../api.js";
import { element, fill } from "../element.js";
import { flops, percent, seconds, tokens, usd } from "../figure.js";
import { planLabel } from "../plan.js";
import { plan as readPlan } from "../wire/advice.js";
import { receipt as readReceipt } from "../wire/receipt.js";
import { plainBody, planBody } from "../wire/request.js";

const PLAIN = [
  { name: "One plain answer", plan: "cot()" },
  { name: "Majority of 16", plan: "majority(n=16)" },
];

export class Compare {
  constructor() {
    this.element = element("section", {
      class: "card compare",
      "aria-label": "Beside the plain model",
      hidden: true,
    });
  }

  /** Offers to compare an answer; `receipt` as wire/ makes it. */
  offer(wish, receipt) {
    this.clear();
    this._wish = wish;
    this._rows = [
      { name: "This answer", plan: receipt.plan, state: "done", receipt, expected: receipt.expected },
      ...PLAIN.map((plain) => ({ ...plain, state: "unknown", receipt: null, expected: null })),
    ];
    this.element.hidden = false;
    this._said = element("p", { class: "bad small", role: "alert", hidden: true });
    this._begin = element(
      "button",
      { type: "button", onclick: () => this._price() },
      "Compare with the plain model",
    );
    fill(
      this.element,
      element("h2", {}, "Beside the plain model"),
      element(
        "div",
        { class: "row" },
        this._begin,
        element("span", { class: "soft small" }, "first shows what that costs"),
      ),
      this._said,
    );
  }

  clear() {
    this._abort?.abort();
    this._abort = new AbortController();
    this.element.hidden = true;
    fill(this.element);
  }

  /** Asks what each of them is expected to take; that spends nothing. */
  async _price() {
    const abort = this._abort;
    this._begin.disabled = true;
    try {
      await Promise.all(
        this._rows.slice(1).map(async (row) => {
          const wish = { ...this._wish, budget: null, preset: null, prm: null, plan: row.plan };
          row.expected = readPlan(await post("v1/plan", planBody(wish), { signal: abort.signal }));
          row.state = "priced";
        }),
      );
      this._draw();
    } catch (error) {
      this._begin.disabled = false;
      this._complain(error);
    }
  }

  async _run(row) {
    const abort = this._abort;
    row.state = "running";
    this._complain(null);
    this._draw();
    try {
      const said = await post("v1/chat/completions", plainBody(this._wish, row.plan), { signal: abort.signal });
      row.receipt = readReceipt(said.planner ?? {}, said.id ?? null);
      row.text = said.choices?.[0]?.message?.content ?? "";
      row.state = "done";
    } catch (error) {
      row.state = "priced";
      this._complain(error);
    }
    if (abort === this._abort) this._draw();
  }

  _complain(error) {
    if (error?.name === "AbortError") return;
    this._said.hidden = error === null;
    this._said.textContent = error?.message ?? "";
  }

  _draw() {
    const mine = this._rows[0].receipt.answer;
    const hasMoney = this._rows.some((row) => (row.receipt?.spend.usd ?? null) !== null);
    const columns = ["Answer", "Expected right", "Tokens", "Compute", ...(hasMoney ? ["Money"] : []), "Time"];
    fill(
      this.element,
      element("h2", {}, "Beside the plain model"),
      element(
        "div",
        { class: "scroll" },
        element(
          "table",
          {},
          element("caption", { class: "visually-hidden" }, "The answer beside the plain model's"),
          element(
            "thead",
            {},
            element(
              "tr",
              {},
              element("th", { scope: "col" }, "Run"),
              ...columns.map((name, at) => element("th", { scope: "col", class: at ? "number" : null }, name)),
            ),
          ),
          element("tbody", {}, ...this._rows.map((row) => this._line(row, mine, hasMoney))),
        ),
      ),
      this._said,
    );
  }

  _line(row, mine, hasMoney) {
    const spend = row.receipt?.spend ?? null;
    // before it has run, what it is expected to take
    const cell = (words, name, label) =>
      element(
        "td",
        { class: spend ? "number" : "number soft", "data-label": label },
        spend ? words(spend[name]) : about(words, row.expected?.[name] ?? null),
      );
    return element(
      "tr",
      {},
      element(
        "th",
        { scope: "row" },
        row.name,
        element("span", { class: "small compared" }, planLabel(row.receipt?.plan || row.plan)),
      ),
      element("td", {}, this._answer(row, mine)),
      element(
        "td",
        { class: "number", "data-label": "Expected right" },
        known(percent, row.expected?.accuracy ?? null),
      ),
      cell(tokens, "tokens", "Tokens"),
      cell(flops, "flops", "Compute"),
      hasMoney ? cell(usd, "usd", "Money") : null,
      cell(seconds, "seconds", "Time"),
    );
  }

  _answer(row, mine) {
    if (row.state === "running") return element("span", { class: "soft", role: "status" }, "Running…");
    if (row.state !== "done")
      return element(
        "button",
        { type: "button", class: "small", "aria-label": `Run: ${row.name}`, onclick: () => this._run(row) },
        "Run it",
      );
    const { answer } = row.receipt;
    const same = answer !== null && answer === mine;
    return [
      element("span", { class: "mono" }, answer ?? (row.text?.slice(0, 200) || "none that can be read")),
      row === this._rows[0]
        ? null
        : element("span", { class: "tag" }, same ? "the same" : answer === null ? "not compared" : "another"),
    ];
  }
}

function about(words, value) {
  return value === null ? "unknown" : `about ${words(value)}`;
}

function known(words, value) {
  return value === null ? "unknown" : words(value);
}
