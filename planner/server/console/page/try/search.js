// A search as its events tell it: the tree of steps, votes and spend. Draws nothing.

import { joinsProbe } from "../strategies.js";

/**
 * Events, in the page's own words (wire/ translates the server's):
 *
 *   queued   {waiting}                                  requests before this one
 *   decided  {probe, advice, spent}                      a stage has decided
 *   started  {policy, prm, plan, probe}                  a plan begins; probe null: the one that answers
 *   drawn    {draw, text, answer, rewards, tokens, missing}   a whole solution; told again once it is scored
 *   grown    {node, parent, text, reward, tokens, isFinished, answer}   one step of a tree
 *   pruned   {dropped}                                  nodes that do not go on
 *   votes    {votes: [{answer, count, weight}]}
 *   ended    {why}                                      drawing ended early
 *   spend    {tokens, policyTokens, prmTokens, flops, seconds, usd}
 *   text     {text}                                     of the answer, as it comes
 *   receipt  {receipt}
 */
export class Search {
  constructor() {
    this.root = step("", null);
    this.stages = [];
    this.plan = null;
    this.isProbing = false;
    this.waiting = null;
    this.votes = [];
    this.spend = {};
    this.ended = null;
    this.text = "";
    this.receipt = null;
    this.chosen = null;
    this.log = [];
    this._round = 0;
    this._solutions = new Map();
    this._nodes = new Map();
    this._begun = performance.now();
  }

  /** Takes one event in. Events of a kind that is not known change nothing. */
  apply(event) {
    const take = Object.hasOwn(TAKES, event.type) ? TAKES[event.type] : null;
    if (!take) return;
    this.log.push({ at: performance.now() - this._begun, event });
    take(this, event);
  }

  /** All steps, row by row. */
  levels() {
    const found = [];
    for (let level = this.root.children; level.length; level = level.flatMap((one) => one.children))
      found.push(level);
    return found;
  }

  /** The steps from the first one to `last`. */
  path(last) {
    const steps = [];
    for (let one = last; one?.parent; one = one.parent) steps.unshift(one);
    return steps;
  }

  /** The step that leads: the chosen one, else the deepest living one with the highest reward. */
  get leader() {
    if (this.chosen) return this.chosen;
    let leader = null;
    for (const level of this.levels()) {
      const living = level.filter((one) => one.state !== "pruned");
      if (living.length) leader = living.reduce((a, b) => ((b.reward ?? -1) > (a.reward ?? -1) ? b : a));
    }
    return leader;
  }

  /** Figures for a line of text. */
  get counts() {
    const counts = { steps: 0, pruned: 0, finished: 0 };
    for (const one of this.levels().flat()) {
      counts.steps += 1;
      if (one.state === "pruned") counts.pruned += 1;
      if (one.state === "finished") counts.finished += 1;
    }
    return counts;
  }

  /** Marks the solution that was the answer: the one that reads like the receipt's chosen candidate. */
  _choose(candidates, chosen) {
    const wanted = candidates[chosen];
    if (!wanted) return;
    const ends = [...this._solutions.values(), ...this._nodes.values()].filter(
      (one) => one.state === "finished",
    );
    this.chosen = ends.findLast((one) => one.written.trim() === wanted.text.trim()) ?? null;
    for (const one of this.path(this.chosen)) one.chosen = true;
  }

  /** Adds the steps of a text below a step; the last one of them. */
  _add(above, text) {
    const steps = text.split("\n").filter((line) => line.trim());
    let last = above;
    for (const words of steps.length ? steps : [""]) last = step(words, last);
    last.written = above.written + text;
    return last;
  }
}

/** What each kind of event does to a search. */
const TAKES = {
  queued(search, { waiting }) {
    search.waiting = waiting;
  },
  decided(search, event) {
    search.waiting = null;
    search.stages.push(event);
  },
  started(search, { policy, prm, plan, probe }) {
    search.waiting = null;
    // samples stay candidates of plans of their own policy, if the strategy has a place for them
    const joins = search.plan !== null && search.plan.policy === policy && joinsProbe(plan);
    if (search.plan !== null && !joins) {
      search._round += 1;
      for (const one of search.levels().flat()) one.state = "pruned";
    }
    search.plan = { policy, prm, plan };
    search.isProbing = probe !== null;
  },
  drawn(search, { draw, text, answer, rewards, tokens, missing }) {
    const name = `${search._round}/${draw}`;
    let last = search._solutions.get(name);
    if (!last || last.written !== text) {
      for (const one of search.path(last)) one.state = "pruned";
      last = search._add(search.root, text);
      search._solutions.set(name, last);
    }
    Object.assign(last, { state: "finished", answer, tokens });
    search.path(last).forEach((one, place) => {
      one.reward = rewards[place] ?? one.reward;
    });
  },
  grown(search, { node, parent, text, reward, tokens, isFinished, answer }) {
    const last = search._add(search._nodes.get(parent) ?? search.root, text);
    Object.assign(last, { reward, tokens, answer, state: isFinished ? "finished" : "open" });
    search._nodes.set(node, last);
  },
  pruned(search, { dropped }) {
    for (const name of dropped) {
      const last = search._nodes.get(name);
      if (last) last.state = "pruned";
    }
  },
  votes(search, { votes }) {
    search.votes = votes;
  },
  ended(search, { why }) {
    search.ended = why;
  },
  spend(search, event) {
    search.spend = event;
  },
  text(search, { text }) {
    search.text += text;
  },
  receipt(search, { receipt }) {
    search.receipt = receipt;
    if (receipt.chosen !== null) search._choose(receipt.candidates, receipt.chosen);
  },
};

/** `written`: the whole solution up to and with this step, as the policy wrote it. */
function step(text, parent) {
  const made = {
    text,
    parent,
    children: [],
    written: "",
    reward: null,
    tokens: null,
    state: "open",
    answer: null,
    chosen: false,
  };
  if (parent) parent.children.push(made);
  return made;
}
