// The challenger beside the planner in use: whether it is surely better.

import { element } from "../element.js";
import { count, percent } from "../figure.js";

/** `challenge`: {champion, challenger, share, promotes, promoted, state}, or null. */
export function challenge(challenge) {
  if (!challenge) return element("p", { class: "empty" }, "There is no challenger.");
  const { state, promoted } = challenge;
  const said = promoted && challenge.promotes ? `The challenger was promoted and answers everything.` : null;
  if (!state) return element("p", { class: "empty" }, said ?? "No request was given to either planner yet.");
  return element(
    "div",
    {},
    said ? element("p", { class: "good" }, said) : null,
    element("p", { class: { better: "good", worse: "bad" }[state.state] ?? "soft" }, capital(state.sentence), "."),
    element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            element("th", { scope: "col" }, "Planner"),
            element("th", { scope: "col", class: "number" }, "Decisions"),
            element("th", { scope: "col", class: "number" }, "Feedback"),
            element("th", { scope: "col", class: "number" }, "Right"),
          ),
        ),
        element("tbody", {}, row("champion", state.champion), row("challenger", state.challenger)),
      ),
    ),
    element("p", { class: "soft small" }, `The challenger is given ${percent(challenge.share)} of the requests.`),
  );
}

function row(name, arm) {
  return element(
    "tr",
    {},
    element("td", {}, name, " ", element("span", { class: "soft small" }, arm.planner.slice(0, 12))),
    element("td", { class: "number" }, count(arm.decisions)),
    element("td", { class: "number" }, count(arm.known)),
    element("td", { class: "number" }, arm.value === null ? "-" : percent(arm.value)),
  );
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
