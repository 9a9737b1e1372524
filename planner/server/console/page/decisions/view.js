// Decisions: look for past ones, open one.

import { get, save } from "../api.js";
import { complain } from "../complaint.js";
import { element, fill } from "../element.js";
import { decision as readDecision, decisions as readDecisions } from "../wire/decision.js";
import { models as readModels } from "../wire/models.js";
import { DecisionQuery } from "./query.js";
import { entry } from "./list.js";
import { record } from "./record.js";

const PAGE = 25;

export class DecisionsView {
  constructor() {
    this._found = [];
    this._open = null;
    this._query = new DecisionQuery(() => this._search());
    this._error = element("p", { class: "note error", role: "alert", hidden: true });
    this._count = element("p", { class: "soft small", role: "status" });
    this._export = element(
      "button",
      {
        type: "button",
        class: "small",
        title: "All decisions that match, one JSON object a line",
        onclick: () => this._save(),
      },
      "Export (JSONL)",
    );
    this._list = element("ol", { class: "entries" });
    this._more = element(
      "button",
      { type: "button", hidden: true, onclick: () => this._search(true) },
      "Older ones",
    );
    this._record = element("div", { class: "record-place", onfeedback: () => this._search() });
    this.element = element(
      "div",
      {},
      element("div", { class: "heading" }, element("h1", {}, "Decisions"), this._count, this._export),
      this._query.element,
      this._error,
      element("div", { class: "decisions" }, element("div", {}, this._list, this._more), this._record),
    );
  }

  /** `id`: the decision to open, or null. */
  enter(id = null) {
    this._search();
    this._show(id);
    if (!this._isOffered) this._offer();
  }

  /** What there is to choose from among filters; without it they can be typed. */
  async _offer() {
    try {
      this._query.offer(readModels(await get("v1/models")));
      this._isOffered = true;
    } catch (error) {
      complain(this._error, error);
    }
  }

  async _save() {
    this._export.disabled = true;
    try {
      await save("v1/decisions.jsonl", this._query.query, "decisions.jsonl");
      complain(this._error, null);
    } catch (error) {
      complain(this._error, error);
    }
    this._export.disabled = false;
  }

  leave() {}

  async _search(isMore = false) {
    const turn = (this._turn = (this._turn ?? 0) + 1);
    const before = isMore ? this._next : null;
    try {
      const { records, next } = readDecisions(
        await get("v1/decisions", { ...this._query.query, limit: PAGE, before }),
      );
      if (turn !== this._turn) return;
      this._found = isMore ? [...this._found, ...records] : records;
      this._next = next;
      this._more.hidden = next === null;
      complain(this._error, null);
      this._draw();
    } catch (error) {
      if (turn === this._turn) complain(this._error, error);
    }
  }

  _draw() {
    this._count.textContent = this._found.length
      ? `${this._found.length}${this._more.hidden ? "" : " or more"} found`
      : "";
    fill(
      this._list,
      this._found.length
        ? this._found.map((one) => entry(one, one.id === this._open))
        : element(
            "li",
            { class: "empty" },
            Object.values(this._query.query).some(Boolean)
              ? "No decision matches."
              : "No decision so far: ask something first.",
          ),
    );
  }

  async _show(id) {
    this._open = id;
    this._draw();
    this.element.classList.toggle("has-record", id !== null);
    if (id === null) {
      fill(this._record, element("p", { class: "empty" }, "Open a decision to see why it was taken."));
      return;
    }
    try {
      const found = readDecision(await get(`v1/decisions/${encodeURIComponent(id)}`));
      if (this._open !== id) return;
      const card = record(found);
      fill(this._record, back(), card);
      card.focus({ preventScroll: true });
      reveal(this._record);
    } catch (error) {
      if (this._open !== id) return;
      fill(this._record, back(), element("p", { class: "note error", role: "alert" }, error.message));
      reveal(this._record);
    }
  }
}

/** Brings the top of a decision into sight, where it is not: it stands beside its list, or in place of it. */
function reveal(place) {
  const { top } = place.getBoundingClientRect();
  place.scrollTop = 0;
  if (top < 0 || top > 0.5 * window.innerHeight) place.scrollIntoView({ block: "start" });
}

/** Where there is room for one of the two only, the way from a decision to the list. */
function back() {
  return element("a", { href: "#decisions", class: "back" }, "← All decisions");
}
