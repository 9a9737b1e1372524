// What the server does at this moment.

import { choice } from "./part.js";
import { list, number, text } from "./value.js";

/** GET v1/now. */
export function now(said) {
  const expected = said.promised ?? {};
  return {
    window: number(said.window),
    uptime: number(said.uptime),
    version: said.version ?? null,
    planner: said.planner ?? null,
    requests: Object.fromEntries(
      ["per_second", "running", "waiting", "total", "answered", "failed", "cancelled", "refused"].map(
        (name) => [name, number(said.requests?.[name])],
      ),
    ),
    series: list(said.series).map((one) => number(one.requests) ?? 0),
    latency: { p50: number(said.latency?.p50), p95: number(said.latency?.p95) },
    plans: list(said.plans).map((one) => ({
      ...choice(one),
      requests: number(one.requests) ?? 0,
      share: number(one.share) ?? 0,
    })),
    accuracy: {
      count: number(expected.accuracy?.feedbacks) ?? 0,
      expected: number(expected.accuracy?.promised),
      kept: number(expected.accuracy?.kept),
    },
    tokens: {
      count: number(expected.tokens?.requests) ?? 0,
      expected: number(expected.tokens?.promised),
      spent: number(expected.tokens?.spent),
    },
    deadlines: { count: number(expected.seconds?.requests) ?? 0, kept: number(expected.seconds?.kept) },
    majority: {
      count: number(said.majority?.requests) ?? 0,
      flops: number(said.majority?.flops),
      majorityFlops: number(said.majority?.majority_flops),
      ratio: number(said.majority?.ratio),
      never: number(said.majority?.never) ?? 0,
    },
    share: number(said.share),
    explore: number(said.explore),
    drift: said.drift ? { shifts: list(said.drift.shifts) } : null,
    models: list(said.models).map((one) => ({
      name: text(one.name),
      kind: one.kind === "prm" ? "PRM" : text(one.kind),
      isUp: one.up === true,
    })),
    log: said.log ?? {},
  };
}
