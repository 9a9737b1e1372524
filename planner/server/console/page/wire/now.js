// What the server does at this moment.

import { choice } from "./part.js";
import { list, number, text } from "./value.js";

/** GET v1/now. */
export function now(said) {
  const expected = said.promised ?? {};
  return {
    window: number(said.window),
    windows: list(said.windows).filter((one) => number(one) !== null),
    uptime: number(said.uptime),
    version: said.version ?? null,
    planner: said.planner ?? null,
    requests: Object.fromEntries(
      ["per_second", "running", "waiting", "total", "answered", "failed", "cancelled", "refused"].map(
        (name) => [name, number(said.requests?.[name])],
      ),
    ),
    series: list(said.series).map(slice),
    latency: Object.fromEntries(
      ["p50", "p90", "p95", "p99"].map((name) => [name, number(said.latency?.[name])]),
    ),
    errors: {
      requests: number(said.errors?.requests) ?? 0,
      failed: number(said.errors?.failed) ?? 0,
      cancelled: number(said.errors?.cancelled) ?? 0,
      rate: number(said.errors?.rate),
    },
    refusals: causes(said.refusals),
    failures: causes(said.failures),
    spend: spend(said),
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
    exploration: {
      decisions: number(said.exploration?.decisions) ?? 0,
      accuracy: number(said.exploration?.accuracy) ?? 0,
    },
    drift: said.drift ? { shifts: list(said.drift.shifts) } : null,
    signals: signals(said.signals),
    challenge: said.challenge ?? null,
    models: list(said.models).map((one) => ({
      name: text(one.name),
      kind: one.kind === "prm" ? "PRM" : text(one.kind),
      isUp: one.up === true,
    })),
    log: said.log ?? {},
  };
}

/** Signals of drift that are raised, or null where none are watched. */
function signals(said) {
  if (!said) return null;
  return {
    raised: list(said.signals)
      .filter((one) => number(one.raised) !== null)
      .map((one) => ({ name: text(one.name), since: number(one.since), detail: text(one.detail) })),
    problems: number(said.problems) ?? 0,
    words: number(said.words) ?? 0,
  };
}

/** A piece of the window; `isCounted`: whether the server tells what went wrong in it. */
function slice(said) {
  return {
    requests: number(said.requests) ?? 0,
    failed: number(said.failed) ?? 0,
    refused: number(said.refused) ?? 0,
    isCounted: number(said.failed) !== null,
    refusals: said.refusals ?? {},
    failures: said.failures ?? {},
    tokens: number(said.tokens) ?? 0,
    flops: number(said.flops) ?? 0,
    usd: number(said.usd),
    p95: number(said.p95),
  };
}

function causes(said) {
  return list(said).map((one) => ({ cause: text(one.cause), requests: number(one.requests) ?? 0 }));
}

/** What the window took; a server that does not add it up tells its pieces. */
function spend(said) {
  const sum = (name) => list(said.series).reduce((whole, one) => whole + (number(one[name]) ?? 0), 0);
  return {
    tokens: number(said.spend?.tokens) ?? sum("tokens"),
    flops: number(said.spend?.flops) ?? sum("flops"),
    usd: number(said.spend?.usd),
  };
}
