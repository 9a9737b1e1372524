// A small line over time: what has been seen since the page was opened, or what the server remembers.

import { drawn, element } from "../element.js";

const WIDTH = 300;
const HEIGHT = 56;

/** `values` in order of time; `name` is read out with the newest and the highest of them. */
export function line(values, name, words) {
  const last = values[values.length - 1] ?? 0;
  const top = Math.max(...values, 1e-9);
  const x = (place) => (values.length > 1 ? (place / (values.length - 1)) * WIDTH : WIDTH);
  const y = (value) => HEIGHT - 3 - (value / top) * (HEIGHT - 8);
  const points = values.map((value, place) => `${x(place).toFixed(1)} ${y(value).toFixed(1)}`);
  return element(
    "div",
    { class: "line" },
    drawn(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `${name}: now ${words(last)}, at most ${words(Math.max(...values, 0))}`,
      },
      values.length > 1
        ? drawn("path", { class: "area", d: `M0 ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}Z` })
        : null,
      values.length > 1 ? drawn("path", { class: "stroke", d: `M${points.join("L")}` }) : null,
    ),
  );
}
