// Answers as they gather: one bar each, as the plan counts them, the leading one first.

import { bar, element, fill } from "../element.js";
import { count, percent } from "../figure.js";
import { voteOf } from "../strategies.js";

const MOST = 6;

export class Votes {
  constructor() {
    this._title = element("h3");
    this._list = element("ol", { class: "votes" });
    this._rest = element("p", { class: "soft small" });
    this.element = element("div", {}, this._title, this._list, this._rest);
  }

  /** `votes`: {answer, count, weight} each; `plan`: what counts them; `answer`: what was answered, once known. */
  show(votes, plan = "", answer = null) {
    const vote = voteOf(plan);
    // weights of nothing decide nothing: then the counts are shown
    const isWeighted = vote === "weighted" && votes.some((one) => Number(one.weight) > 0);
    const size = (one) => Number(isWeighted ? one.weight : one.count) || 0;
    const all = votes.reduce((sum, one) => sum + size(one), 0);
    this.element.hidden = votes.length === 0;
    this._title.textContent =
      vote === "max" ? "Answers (the highest reward wins)" : isWeighted ? "Votes, weighted by rewards" : "Votes";
    fill(
      this._list,
      [...votes]
        .sort((a, b) => size(b) - size(a))
        .slice(0, MOST)
        .map((one) => {
          const share = all > 0 ? size(one) / all : 0;
          return element(
            "li",
            {},
            element("span", { class: "mono" }, one.answer),
            element(
              "span",
              { class: "number small", title: isWeighted ? "Share of all weights" : null },
              `${count(one.count)}×`,
              // what the bar shows, and nothing else
              isWeighted ? element("span", { class: "soft" }, ` ${percent(share)}`) : null,
            ),
            bar(share, answer !== null && one.answer === answer ? "chosen" : ""),
          );
        }),
    );
    const more = votes.length - MOST;
    this._rest.textContent = more > 0 ? `and ${count(more)} more ${more === 1 ? "answer" : "answers"}` : "";
  }
}
