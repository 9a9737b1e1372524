// One path through the tree, step by step, each with its reward.

import { bar, element, fill } from "../element.js";
import { fraction } from "../figure.js";

/** A heading and a list; `show(search, last, isPicked)` says up to which step. */
export class Path {
  constructor() {
    this._title = element("h3");
    this._list = element("ol", { class: "path" });
    this.element = element("div", {}, this._title, this._list);
  }

  show(search, last, isPicked) {
    const steps = last ? search.path(last) : [];
    this._title.textContent = this._heading(search, last, isPicked);
    fill(
      this._list,
      steps.map((step) =>
        element(
          "li",
          { class: step.state },
          element("span", { class: "mono" }, step.text.trim() || "(blank)"),
          step.reward === null
            ? element("span", { class: "reward soft small" }, "no reward")
            : element(
                "span",
                { class: "reward" },
                bar(step.reward),
                element("span", { class: "small" }, fraction(step.reward)),
              ),
        ),
      ),
    );
  }

  _heading(search, last, isPicked) {
    if (!last) return "Step by step";
    if (isPicked && last.state === "pruned") return "A branch that was pruned";
    if (isPicked && !last.chosen) return last.state === "finished" ? "A finished solution" : "A branch";
    if (search.chosen) return "The chosen solution";
    return search.receipt ? "The branch that led" : "Leading now";
  }
}
