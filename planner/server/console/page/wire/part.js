// Parts that many of the API's answers have in common.

import { list, number, text } from "./value.js";

export function choice(said) {
  return { policy: said.policy ?? null, prm: said.prm ?? null, plan: text(said.plan) };
}

export function stage(said) {
  return {
    ...choice(said),
    probe: probe(said.look),
    nextProbe: said.next_look ? probe(said.next_look) : null,
    accuracy: number(said.accuracy),
    tokens: number(said.tokens),
    spend: figures(said.spend),
  };
}

/** A probe in words: "the question", "4 samples of p scored by r". Decisions have it in words already. */
export function probe(said) {
  if (typeof said === "string")
    return said === "question" ? "the question" : said.replace(/^1 samples/, "1 sample");
  const samples = number(said?.samples) ?? 0;
  if (!samples) return "the question";
  return `${samples} ${samples === 1 ? "sample" : "samples"} of ${text(said.policy)}${said.prm ? ` scored by ${text(said.prm)}` : ""}`;
}

export function candidate(said) {
  return {
    answer: said.answer ?? null,
    text: text(said.text),
    rewards: list(said.step_rewards).filter((one) => number(one) !== null),
    tokens: number(said.tokens),
  };
}

/** What is promised of a stream of requests; null where the budget names no accuracy. */
export function target(said) {
  if (!said) return null;
  return {
    asked: number(said.asked),
    confidence: number(said.confidence),
    reached: said.reached !== false,
    accuracy: number(said.accuracy),
    low: number(said.low),
  };
}

export function figures(said) {
  const of = said ?? {};
  return {
    accuracy: number(of.accuracy),
    tokens: number(of.tokens),
    policyTokens: number(of.policy_tokens),
    prmTokens: number(of.prm_tokens),
    flops: number(of.flops),
    seconds: number(of.seconds),
    usd: number(of.usd),
  };
}
