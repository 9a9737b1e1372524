// Answers as they gather: one bar each, as the plan counts them, the leading one first.

import { bar, element, fill } from "../element.js";
import { count, fraction } from "../figure.js";
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
    const isWeighted = vote === "weighted";
    const isBest = vote === "max";
    const size = (vote) => Number(isWeighted ? vote.weight : vote.count) || 0;
    const all = votes.reduce((sum, vote) => sum + size(vote), 0);
    this.element.hidden = votes.length === 0;
    this._title.textContent = isBest
      ? "Answers (the highest reward wins)"
      : isWeighted
        ? "Votes, weighted by rewards"
        : "Votes";
    fill(
      this._list,
      votes
        .slice(0, MOST)
        .map((vote) =>
          element(
            "li",
            {},
            element("span", { class: "mono" }, vote.answer),
            element(
              "span",
              { class: "number small" },
              `${count(vote.count)}×`,
              vote.weight > 0 ? element("span", { class: "soft" }, ` ${fraction(vote.weight)}`) : null,
            ),
            bar(all > 0 ? size(vote) / all : 0, answer !== null && vote.answer === answer ? "chosen" : ""),
          ),
        ),
    );
    const more = votes.length - MOST;
    this._rest.textContent = more > 0 ? `and ${count(more)} more ${more === 1 ? "answer" : "answers"}` : "";
  }
}
