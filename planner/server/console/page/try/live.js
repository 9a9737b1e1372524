// The search as it happens: the tree, the path that leads, votes, the meter; afterwards it can be seen again.

import { element, fill } from "../element.js";
import { count } from "../figure.js";
import { planLabel } from "../plan.js";
import { Meter } from "./meter.js";
import { Path } from "./path.js";
import { Search } from "./search.js";
import { Tree } from "./tree.js";
import { Votes } from "./votes.js";

/** A replay takes at least this long, in ms. */
const REPLAY = 7000;
/** A tree whose rows hold more steps takes the whole width of the card. */
const WIDE = 32;

export class Live {
  constructor() {
    this._tree = new Tree((node, isFinal) => this._point(node, isFinal));
    this._path = new Path();
    this._votes = new Votes();
    this._meter = new Meter();
    this._progress = element("p", { class: "progress soft small" });
    this._spoken = element("p", { class: "visually-hidden", role: "status" });
    this._plan = element("p", { class: "running" });
    this._again = element(
      "button",
      { type: "button", class: "small", hidden: true, onclick: () => this._replay() },
      "Replay slowly",
    );
    this.element = element(
      "section",
      { class: "card live", "aria-label": "The search", hidden: true },
      element(
        "div",
        { class: "heading" },
        element("h2", {}, "The search"),
        this._progress,
        this._spoken,
        this._again,
      ),
      this._plan,
      element(
        "div",
        { class: "live-columns" },
        element("div", {}, this._tree.element, legend()),
        element("div", { class: "beside" }, this._meter.element, this._votes.element, this._path.element),
      ),
    );
  }

  /** Begins a search that is shown from now on; `expected`: what the plan expects to spend, or null. */
  begin({ budget, expected }) {
    this._stop();
    this._budget = budget ?? {};
    this._expected = expected ?? {};
    this._search = this._shown = new Search();
    this._picked = null;
    this._word = null;
    this._again.hidden = true;
    this.element.hidden = false;
    this._spoken.textContent = "The search has begun.";
    this._draw();
    return this._search;
  }

  /** Draws what the search knows by now, at most once a frame. */
  update() {
    if (this._frame) return;
    this._frame = requestAnimationFrame(() => {
      this._frame = 0;
      this._draw();
    });
  }

  /** The search is over. `word`: how it ended. */
  end(word) {
    if (!this._search) return;
    this._word = word;
    this._again.hidden = this._search.root.children.length === 0;
    this._draw();
    this._spoken.textContent = this._progress.textContent;
    if (this._search.chosen) this._tree.reveal(this._search.chosen);
  }

  clear() {
    this._stop();
    this._search = null;
    this.element.hidden = true;
  }

  _draw() {
    const search = this._shown;
    if (!search) return;
    this.element.classList.toggle("is-wide", Tree.width(search) > WIDE);
    this._tree.show(search);
    this._path.show(search, this._picked ?? search.leader, this._picked !== null);
    this._votes.show(search.votes, search.plan?.plan, search.receipt?.answer ?? null);
    this._meter.show(search.spend, this._budget, expected(search.stages.at(-1)) ?? this._expected);
    this._progress.textContent = this._words(search);
    fill(
      this._plan,
      ...(search.plan
        ? [
            this._verb(search),
            planLabel(search.plan.plan, search.plan),
            search.ended ? element("span", { class: "ended soft small" }, search.ended) : null,
          ]
        : this._word && !this._timer
          ? [`${this._word} before the first step.`]
          : [
            search.waiting === null
              ? "Waiting for the first step…"
              : `Waiting: ${count(search.waiting)} before it.`,
          ]),
    );
  }

  /** What the plan does; once it is over, it no longer runs. */
  _verb(search) {
    const isOver = this._word !== null && !this._timer;
    if (search.receipt) return "Ran: ";
    if (isOver) return search.isProbing ? `${this._word} while probing: ` : `${this._word} while running: `;
    return search.isProbing ? "Probing: " : "Running: ";
  }

  _words(search) {
    const { steps, pruned, finished } = search.counts;
    const words = [
      `${count(steps)} ${steps === 1 ? "step" : "steps"}`,
      pruned ? `${count(pruned)} pruned` : null,
      finished ? `${count(finished)} finished` : null,
    ]
      .filter(Boolean)
      .join(", ");
    if (this._timer) return `Replay: ${words}`;
    return this._word ? `${this._word}: ${words}` : words;
  }

  _point(node, isFinal) {
    if (isFinal) this._picked = node;
    const shown = node ?? this._picked;
    this._path.show(this._shown, shown ?? this._shown.leader, shown !== null);
  }

  _replay() {
    this._stop();
    const log = this._search.log;
    const pace = Math.max(1, REPLAY / Math.max(1, log[log.length - 1].at));
    const begun = performance.now();
    let next = 0;
    this._shown = new Search();
    this._picked = null;
    const tick = () => {
      const now = (performance.now() - begun) / pace;
      while (next < log.length && log[next].at <= now) this._shown.apply(log[next++].event);
      if (next < log.length) {
        this._timer = setTimeout(tick, 40);
      } else {
        this._timer = 0;
      }
      this._draw();
    };
    this._timer = setTimeout(tick, 0);
  }

  _stop() {
    clearTimeout(this._timer);
    this._timer = 0;
  }
}

/** What the last decision expects to have spent at the end; null before the first. */
function expected(stage) {
  if (!stage) return null;
  const sum = (name) => (stage.advice[name] === null ? null : stage.advice[name] + (stage.spent[name] ?? 0));
  return { tokens: sum("tokens"), flops: sum("flops"), seconds: sum("seconds"), usd: sum("usd") };
}

function legend() {
  const item = (kind, words) =>
    element("li", {}, element("i", { class: `key ${kind}`, "aria-hidden": "true" }), words);
  return element(
    "ul",
    { class: "legend small soft", "aria-label": "How to read the tree" },
    element("li", {}, "reward 0 ", element("i", { class: "key ramp", "aria-hidden": "true" }), " 1"),
    item("unscored", "no reward"),
    item("pruned", "pruned"),
    item("finished", "finished"),
    item("chosen", "chosen"),
  );
}
