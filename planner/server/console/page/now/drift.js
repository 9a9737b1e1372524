// How far live features and PRM rewards are from what the planner was fitted on.

import { element } from "../element.js";
import { count, fraction, percent } from "../figure.js";

const MOST = 6;

/** `drift`: {shifts: [{look, feature, live, outside, psi, drifted}]}, or null. */
export function drift(drift) {
  if (!drift || !drift.shifts.length)
    return element("p", { class: "empty" }, "Too few decisions so far to say.");
  const strange = drift.shifts.filter((shift) => shift.drifted).length;
  return element(
    "div",
    {},
    element(
      "p",
      { class: strange ? "bad" : "good" },
      strange
        ? `${count(strange)} ${strange === 1 ? "figure has" : "figures have"} drifted from what the planner was fitted on.`
        : "Nothing has drifted from what the planner was fitted on.",
    ),
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
            element("th", { scope: "col" }, "Figure"),
            element("th", { scope: "col" }, "Seen"),
            element("th", { scope: "col", class: "number" }, "Outside"),
            element("th", { scope: "col", class: "number" }, "PSI"),
          ),
        ),
        element(
          "tbody",
          {},
          ...drift.shifts
            .slice(0, MOST)
            .map((shift) =>
              element(
                "tr",
                {},
                element(
                  "td",
                  {},
                  shift.feature.replaceAll("_", " "),
                  " ",
                  shift.drifted ? element("span", { class: "tag bad" }, "drifted") : null,
                ),
                element("td", { class: "soft small" }, shift.look),
                element("td", { class: "number" }, percent(shift.outside)),
                element("td", { class: "number" }, fraction(shift.psi)),
              ),
            ),
        ),
      ),
    ),
  );
}
