// The spend meter: what has gone of what may go, with a mark where the plan expected to end.

import { bar, element, fill, setShare } from "../element.js";
import { count, flops, percent, seconds, tokens, usd } from "../figure.js";

const UNITS = {
  tokens: { name: "tokens", words: tokens },
  flops: { name: "flops", words: flops },
  seconds: { name: "seconds", words: seconds },
  usd: { name: "usd", words: usd },
};

export class Meter {
  constructor() {
    this._label = element("p", { class: "meter-label" });
    this._bar = bar(0);
    this._mark = element("span", { class: "expected", hidden: true });
    this._rest = element("p", { class: "soft small" });
    this.element = element(
      "div",
      { class: "meter", role: "group", "aria-label": "Spend" },
      element("h3", {}, "Spend"),
      this._label,
      element("div", { class: "gauge" }, this._bar, this._mark),
      this._rest,
    );
  }

  /** `spend` as Search has it; `budget` as it was asked for; `expected`: {tokens, flops, seconds, usd} of the plan. */
  show(spend, budget = {}, expected = {}) {
    const unit = UNITS[Object.keys(UNITS).find((name) => budget[name] !== undefined) ?? "tokens"];
    const spent = spend[unit.name] ?? 0;
    const cap = budget[unit.name] ?? null;
    const mark = expected[unit.name] ?? null;
    const full = cap ?? Math.max(spent, mark ?? 0, 1e-12);
    fill(
      this._label,
      element("b", {}, unit.words(spent)),
      cap === null
        ? null
        : element("span", { class: "soft" }, ` of ${unit.words(cap)} (${percent(spent / cap)})`),
    );
    setShare(this._bar, spent / full);
    this._mark.hidden = mark === null;
    if (mark !== null) {
      this._mark.style.setProperty("--at", String(Math.min(1, mark / full)));
      this._mark.title = `expected: ${unit.words(mark)}`;
    }
    this._rest.textContent = [
      mark === null ? null : `${unit.words(mark)} expected`,
      spend.policyTokens === undefined
        ? null
        : `policy ${count(spend.policyTokens)}, PRM ${count(spend.prmTokens)} tokens`,
      spend.flops === undefined || unit.name === "flops" ? null : flops(spend.flops),
      spend.seconds === undefined || unit.name === "seconds" ? null : seconds(spend.seconds),
      spend.usd === undefined || spend.usd === null || unit.name === "usd" ? null : usd(spend.usd),
    ]
      .filter(Boolean)
      .join(" · ");
  }
}
