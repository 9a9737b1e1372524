// Decisions: look for past ones, open one.

import { get } from "../api.js";
import { element, fill } from "../element.js";
import { decision as readDecision, decisions as readDecisions } from "../wire/decision.js";
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
      element("div", { class: "heading" }, element("h1", {}, "Decisions"), this._count),
      this._query.element,
      this._error,
      element("div", { class: "decisions" }, element("div", {}, this._list, this._more), this._record),
    );
  }

  /** `id`: the decision to open, or null. */
  enter(id = null) {
    this._search();
    this._show(id);
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
      this._error.hidden = true;
      this._draw();
    } catch (error) {
      if (turn !== this._turn) return;
      this._error.hidden = false;
      this._error.textContent = error.message;
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
    } catch (error) {
      if (this._open !== id) return;
      fill(this._record, back(), element("p", { class: "note error", role: "alert" }, error.message));
    }
  }
}

/** Where there is room for one of the two only, the way from a decision to the list. */
function back() {
  return element("a", { href: "#decisions", class: "back" }, "← All decisions");
}
