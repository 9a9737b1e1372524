// The headline cards of Now: one figure each, what it is over, and how it went over the window.

import { bar, element } from "../element.js";
import { count, flops, percent, points, precise, seconds, tokens, usd } from "../figure.js";
import { line } from "./line.js";

export function requests({ requests: all, series }) {
  const words = [
    `${count(all.running)} running`,
    `${count(all.waiting)} waiting`,
    `${count(all.total)} since the start`,
  ];
  return tile(
    "Requests per second",
    precise(all.per_second, 2),
    words.join(", "),
    line(
      series.map((one) => one.requests),
      "Requests over time",
      count,
    ),
  );
}

export function latency({ latency: of, series }) {
  if (of.p50 === null) return tile("Latency", null, "nothing was answered of late");
  const more = [
    ["p90", of.p90],
    ["p95", of.p95],
    ["p99", of.p99],
  ].filter(([, value]) => value !== null);
  const over = series.map((one) => one.p95);
  return tile(
    "Latency",
    seconds(of.p50),
    `half of the answers are faster; ${more.map(([name, value]) => `${name} ${seconds(value)}`).join(", ")}`,
    over.some((value) => value !== null) ? line(carried(over), "95% are faster, over time", seconds) : null,
  );
}

export function errors({ errors: of, requests: all, series }) {
  const rate = of.rate ?? (all.total ? all.failed / all.total : null);
  const refused = series.reduce((sum, one) => sum + one.refused, 0);
  const isCounted = series.some((one) => one.isCounted);
  const words = isCounted
    ? [`${count(of.failed)} of ${count(of.requests)} failed`, `${count(refused)} refused`]
    : [`${count(all.failed)} failed`, `${count(all.refused)} refused`, "since the start"];
  if (of.cancelled) words.push(`${count(of.cancelled)} left early`);
  return tile(
    "Errors",
    rate === null ? null : percent(rate),
    words.join(", "),
    isCounted
      ? line(
          series.map((one) => one.failed + one.refused),
          "Failed and refused over time",
          count,
        )
      : null,
  );
}

export function spend({ spend: of, series }) {
  const isMoney = of.usd !== null;
  const values = series.map((one) => (isMoney ? (one.usd ?? 0) : one.tokens));
  const more = [isMoney ? tokens(of.tokens) : null, flops(of.flops), isMoney ? null : "no prices are set"];
  return tile(
    "Spend",
    isMoney ? usd(of.usd) : tokens(of.tokens),
    more.filter(Boolean).join(", "),
    line(values, isMoney ? "Money over time" : "Tokens over time", isMoney ? usd : count),
  );
}

export function majority({ count: number, flops: spent, majorityFlops, never }) {
  const beyond = never
    ? `on ${count(never)} ${never === 1 ? "request" : "requests"} no majority is expected to be right as often`
    : "";
  if (!(spent > 0 && majorityFlops > 0)) {
    return tile("Spend against plain majority", null, beyond || "no request of late that can be compared");
  }
  const saved = 1 - spent / majorityFlops;
  return tile(
    "Spend against plain majority",
    `${percent(Math.abs(saved))} ${saved < 0 ? "more" : "less"}`,
    `compute at equal expected accuracy, over ${count(number)} ${number === 1 ? "request" : "requests"}` +
      (beyond && `; ${beyond}`),
    versus(
      [
        ["planner", spent],
        ["majority", majorityFlops],
      ],
      flops,
    ),
  );
}

export function expected({ count: number, expected: said, kept: actual }) {
  if (actual === null || said === null) return tile("Right: expected against actual", null, "no feedback so far");
  return tile(
    "Right: expected against actual",
    points(actual - said),
    `over ${count(number)} answers with feedback`,
    versus(
      [
        ["expected", said],
        ["actual", actual],
      ],
      percent,
      1,
    ),
  );
}

export function kept({ tokens: of, deadlines }) {
  const words = deadlines.count
    ? `${percent(deadlines.kept)} of ${count(deadlines.count)} deadlines kept`
    : "no request with a deadline";
  if (of.expected === null || !of.expected) return tile("Tokens: expected against actual", null, words);
  const off = of.spent / of.expected - 1;
  return tile(
    "Tokens: expected against actual",
    `${percent(Math.abs(off))} ${off < 0 ? "under" : "over"}`,
    words,
    versus(
      [
        ["expected", of.expected],
        ["actual", of.spent],
      ],
      count,
    ),
  );
}

/** `figure`: null where there is none so far. */
function tile(name, figure, words, picture = null) {
  return element(
    "section",
    { class: "card tile", "aria-label": name },
    element("h2", { class: "soft small" }, name),
    element("p", { class: figure === null ? "figure none" : "figure" }, figure ?? "None so far"),
    element("p", { class: "soft small words" }, words),
    picture,
  );
}

/** Where nothing was answered, as it was before. */
function carried(values) {
  let last = 0;
  return values.map((value) => (last = value ?? last));
}

/** Two bars to one scale. */
function versus(rows, words, most = Math.max(...rows.map(([, value]) => value))) {
  return element(
    "ul",
    { class: "versus small" },
    ...rows.map(([name, value]) =>
      element(
        "li",
        {},
        element("span", { class: "soft" }, name),
        bar(most > 0 ? value / most : 0),
        element("span", { class: "number" }, words(value)),
      ),
    ),
  );
}
