// Now: what the server does, over a window that may be chosen. Asks again every two seconds while it is looked at.

import { get } from "../api.js";
import { complain } from "../complaint.js";
import { bar, element, fill } from "../element.js";
import { count, percent, seconds } from "../figure.js";
import { planLabel } from "../plan.js";
import { hint } from "../term.js";
import { now as read } from "../wire/now.js";
import { savings as readSavings } from "../wire/savings.js";
import { causes } from "./causes.js";
import { challenge } from "./challenge.js";
import { drift } from "./drift.js";
import { health } from "./health.js";
import { savings } from "./savings.js";
import { signals } from "./signals.js";
import { errors, expected, kept, latency, majority, requests, spend } from "./tiles.js";

const EVERY = 2000;
/** Savings are told of thousands of decisions, which change little. */
const SAVINGS_EVERY = 30_000;
const MOST_PLANS = 8;

export class NowView {
  constructor() {
    this._error = element("p", { class: "note error", role: "alert", hidden: true });
    this._state = element("p", { class: "soft small" });
    this._windows = element("div", { class: "row windows", role: "group", "aria-label": "Over the last" });
    this._shadow = element(
      "p",
      { class: "note", hidden: true },
      "Shadow mode: the plain model answers, and the planner only says what it would have done.",
    );
    this._tiles = element("div", { class: "tiles" });
    this._worth = element("div", { class: "tiles" });
    this._panels = element("div", { class: "panels" });
    this._savings = element("section", { class: "card wide", "aria-label": "Savings" }, element("h2", {}, "Savings"));
    this._window = null;
    this._savedAt = -Infinity;
    this.element = element(
      "div",
      { class: "now" },
      element("div", { class: "heading" }, element("h1", {}, "Now"), this._windows, this._state),
      this._error,
      this._shadow,
      this._tiles,
      this._worth,
      this._panels,
    );
    document.addEventListener("visibilitychange", () => {
      if (this._isHere && !document.hidden) this._ask();
    });
  }

  enter() {
    this._isHere = true;
    this._savedAt = -Infinity;
    this._ask();
  }

  leave() {
    this._isHere = false;
    clearTimeout(this._timer);
  }

  async _ask() {
    clearTimeout(this._timer);
    const turn = (this._turn = (this._turn ?? 0) + 1);
    try {
      const now = read(await get("v1/now", { window: this._window }));
      if (turn === this._turn) this._show(now);
      if (turn === this._turn && performance.now() - this._savedAt > SAVINGS_EVERY) await this._askSavings();
    } catch (error) {
      if (turn !== this._turn) return;
      this._complain(error);
      if (error.status === 401 || error.status === 403) return; // asking again without a key would only nag
    }
    if (turn === this._turn && this._isHere && !document.hidden)
      this._timer = setTimeout(() => this._ask(), EVERY);
  }

  async _askSavings() {
    this._savedAt = performance.now();
    const found = readSavings(await get("v1/savings"));
    this._shadow.hidden = !found.isShadow;
    fill(this._savings, element("h2", {}, "Savings"), savings(found));
  }

  _show(now) {
    complain(this._error, null);
    this._state.textContent = [
      now.windows.length > 1 ? null : `over the last ${seconds(now.window)}`,
      `up for ${seconds(now.uptime)}`,
      now.version ? `version ${now.version}` : null,
    ]
      .filter(Boolean)
      .join(" · ");
    this._offer(now);
    fill(this._tiles, requests(now), latency(now), errors(now), spend(now));
    fill(this._worth, majority(now.majority), expected(now.accuracy), kept(now));
    fill(
      this._panels,
      panel("Refused and failed, by cause", causes(now)),
      this._savings,
      panel("Plans chosen", plans(now.plans.slice(0, MOST_PLANS))),
      panel("Health", health(now)),
      panel("Drift", [signals(now.signals), drift(now.drift)], hint("psi")),
      now.challenge && panel("Challenger", challenge(now.challenge)),
    );
  }

  /** The windows that the server remembers; they are drawn once, so that a focus stays. */
  _offer({ windows, window }) {
    if (windows.length < 2) return;
    if (!this._windows.childNodes.length)
      fill(
        this._windows,
        ...windows.map((value) =>
          element(
            "button",
            { type: "button", class: "small", value, onclick: () => this._choose(value) },
            span(value),
          ),
        ),
      );
    for (const button of this._windows.children)
      button.setAttribute("aria-pressed", String(Number(button.value) === window));
  }

  _choose(window) {
    this._window = window;
    this._ask();
  }

  _complain(error) {
    complain(this._error, error);
    this._state.textContent = "";
  }
}

function plans(all) {
  if (!all.length) return element("p", { class: "empty" }, "Nothing was asked of late.");
  return element(
    "ul",
    { class: "shares" },
    ...all.map((one) =>
      element(
        "li",
        {},
        planLabel(one.plan, one),
        element(
          "span",
          { class: "number" },
          percent(one.share),
          element("span", { class: "soft small" }, ` ${count(one.requests)}`),
        ),
        bar(one.share),
      ),
    ),
  );
}

/** 600 -> "10 min", 3600 -> "1 hour", 86400 -> "1 day". */
function span(value) {
  if (value % 86400 === 0) return value === 86400 ? "1 day" : `${value / 86400} days`;
  if (value % 3600 === 0) return value === 3600 ? "1 hour" : `${value / 3600} hours`;
  return seconds(value);
}

function panel(name, content, more = null) {
  return element(
    "section",
    { class: "card", "aria-label": name },
    element("div", { class: "labelled" }, element("h2", {}, name), more),
    content,
  );
}
