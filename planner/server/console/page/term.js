// Words of the field, explained where they stand: a button that shows what one of them means.

import { element } from "./element.js";

const MEANINGS = {
  policy: "The language model that writes the solutions.",
  prm: "Process reward model: a second model that reads a solution and gives each of its steps a reward between 0 and 1.",
  plan: "How compute is spent on one question: a strategy and its numbers. majority(n=16) draws sixteen solutions and takes the most frequent answer.",
  domain: "What kind of answer a question has. It decides how answers are read and compared.",
  budget: "The most that one question may spend, or how often answers should be right.",
  propensity: "How likely the server was to decide like this. It is below 100% only where the server tries other plans on purpose.",
  psi: "Population stability index: how far the values seen now are from those that the planner was fitted on. Above 0.25 they have drifted.",
};
let made = 0;

/** A small button that explains a word; null for one that needs no words. */
export function hint(name) {
  if (!MEANINGS[name]) return null;
  const id = `meaning-${(made += 1)}`;
  return element(
    "span",
    { class: "hint" },
    element(
      "button",
      { type: "button", class: "quiet", popovertarget: id, "aria-label": "What is this?", title: MEANINGS[name] },
      "?",
    ),
    element("span", { id, class: "meaning", popover: true, role: "note" }, MEANINGS[name]),
  );
}
