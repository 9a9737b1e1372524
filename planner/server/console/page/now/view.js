// Now: what the server does at this moment. Asks again every two seconds while it is looked at.

import { get } from "../api.js";
import { bar, element, fill } from "../element.js";
import { count, flops, percent, points, precise, seconds } from "../figure.js";
import { planLabel } from "../plan.js";
import { now as read } from "../wire/now.js";
import { drift } from "./drift.js";
import { health } from "./health.js";
import { line } from "./line.js";

const EVERY = 2000;
const MOST_PLANS = 8;

export class NowView {
  constructor() {
    this._error = element("p", { class: "note error", role: "alert", hidden: true });
    this._state = element("p", { class: "soft small" });
    this._tiles = element("div", { class: "tiles" });
    this._panels = element("div", { class: "panels" });
    this.element = element(
      "div",
      {},
      element("div", { class: "heading" }, element("h1", {}, "Now"), this._state),
      this._error,
      this._tiles,
      this._panels,
    );
    document.addEventListener("visibilitychange", () => {
      if (this._isHere && !document.hidden) this._ask();
    });
  }

  enter() {
    this._isHere = true;
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
      const now = read(await get("v1/now"));
      if (turn === this._turn) this._show(now);
    } catch (error) {
      if (turn !== this._turn) return;
      this._complain(error);
      if (error.status === 401 || error.status === 403) return; // asking again without a key would only nag
    }
    if (turn === this._turn && this._isHere && !document.hidden)
      this._timer = setTimeout(() => this._ask(), EVERY);
  }

  _show(now) {
    this._error.hidden = true;
    this._state.textContent = [
      `over the last ${seconds(now.window)}`,
      `up for ${seconds(now.uptime)}`,
      now.version ? `version ${now.version}` : null,
    ]
      .filter(Boolean)
      .join(" · ");
    fill(this._tiles, requests(now), majority(now.majority), expected(now.accuracy), kept(now));
    const plans = now.plans.slice(0, MOST_PLANS);
    fill(
      this._panels,
      panel(
        "Plans chosen",
        plans.length
          ? element(
              "ul",
              { class: "shares" },
              ...plans.map((one) =>
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
            )
          : element("p", { class: "empty" }, "Nothing was asked of late."),
      ),
      panel("Health", health(now)),
      panel("Drift", drift(now.drift)),
    );
  }

  _complain(error) {
    this._error.hidden = false;
    this._error.textContent = error.message;
    this._state.textContent = "";
  }
}

function requests({ requests: all, series }) {
  const words = [
    `${count(all.running)} running`,
    `${count(all.waiting)} waiting`,
    `${count(all.total)} in all`,
    all.failed ? `${count(all.failed)} failed` : null,
    all.refused ? `${count(all.refused)} refused` : null,
  ];
  return tile(
    "Requests per second",
    precise(all.per_second, 2),
    words.filter(Boolean).join(", "),
    line(series, "Requests in ten seconds", count),
  );
}

function majority({ count: number, flops: spent, majorityFlops, never }) {
  const beyond = never
    ? `on ${count(never)} ${never === 1 ? "request" : "requests"} no majority is expected to be right as often`
    : "";
  if (!(spent > 0 && majorityFlops > 0)) {
    return tile("Spend against plain majority", "–", beyond || "no request of late that can be compared");
  }
  const saved = 1 - spent / majorityFlops;
  return tile(
    "Spend against plain majority",
    `${percent(Math.abs(saved))} ${saved < 0 ? "more" : "less"}`,
    `compute at equal expected accuracy, over ${count(number)} ${number === 1 ? "request" : "requests"}` +
      (beyond && `; ${beyond}`),
    versus(
      [
        ["planner", spent],
        ["majority", majorityFlops],
      ],
      flops,
    ),
  );
}

function expected({ count: number, expected: said, kept: actual }) {
  if (actual === null || said === null) return tile("Right: expected against kept", "–", "no feedback so far");
  return tile(
    "Right: expected against kept",
    points(actual - said),
    `over ${count(number)} answers with feedback`,
    versus(
      [
        ["expected", said],
        ["kept", actual],
      ],
      percent,
      1,
    ),
  );
}

function kept({ tokens, deadlines, latency }) {
  const words = [
    `half of the answers within ${seconds(latency.p50)}, 95% within ${seconds(latency.p95)}`,
    deadlines.count ? `${percent(deadlines.kept)} of ${count(deadlines.count)} deadlines kept` : null,
  ];
  if (tokens.expected === null || !tokens.expected)
    return tile(
      "Tokens: expected against spent",
      "–",
      latency.p50 === null ? "nothing was answered of late" : words[0],
    );
  const off = tokens.spent / tokens.expected - 1;
  return tile(
    "Tokens: expected against spent",
    `${percent(Math.abs(off))} ${off < 0 ? "under" : "over"}`,
    words.filter(Boolean).join("; "),
    versus(
      [
        ["expected", tokens.expected],
        ["spent", tokens.spent],
      ],
      count,
    ),
  );
}

function tile(name, figure, words, picture = null) {
  return element(
    "section",
    { class: "card tile", "aria-label": name },
    element("h2", { class: "soft small" }, name),
    element("p", { class: "figure" }, figure),
    element("p", { class: "soft small words" }, words),
    picture,
  );
}

function panel(name, content) {
  return element("section", { class: "card", "aria-label": name }, element("h2", {}, name), content);
}

/** Two bars to one scale. */
function versus(rows, words, most = Math.max(...rows.map(([, value]) => value))) {
  return element(
    "ul",
    { class: "versus small" },
    ...rows.map(([name, value]) =>
      element(
        "li",
        {},
        element("span", { class: "soft" }, name),
        bar(most > 0 ? value / most : 0),
        element("span", { class: "number" }, words(value)),
      ),
    ),
  );
}
