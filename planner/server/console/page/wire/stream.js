// Events of a streamed answer. Progress travels in comments, which other clients skip.

import { advice } from "./advice.js";
import { choice, figures, probe } from "./part.js";
import { ENDED, receipt } from "./receipt.js";
import { list, number, parsed, text } from "./value.js";

const MARK = "planner ";

/** What one server-sent event tells, as events of Search; a `failure` besides. */
export function translate({ data, comment }) {
  const told = [];
  for (const line of comment.split("\n")) {
    const said = line.startsWith(MARK) ? parsed(line.slice(MARK.length)) : null;
    if (said)
      told.push(...progress(said), ...(said.spend ? [{ type: "spend", ...figures(said.spend) }] : []));
  }
  if (data && data !== "[DONE]") told.push(...chunk(parsed(data) ?? {}));
  return told;
}

function progress(said) {
  const voted = Array.isArray(said.votes) ? [{ type: "votes", votes: said.votes }] : [];
  switch (said.type) {
    case "queued":
      return [{ type: "queued", waiting: number(said.waiting) }];
    case "decided":
      return [
        {
          type: "decided",
          probe: probe(said.look),
          advice: advice(said.advice ?? {}),
          spent: figures(said.spend),
        },
      ];
    case "started":
      return [{ type: "started", ...choice(said), probe: said.look ? probe(said.look) : null }];
    case "drawn":
      return [
        {
          type: "drawn",
          draw: number(said.draw),
          text: text(said.text),
          answer: said.answer ?? null,
          rewards: list(said.step_rewards).map(number),
          tokens: number(said.tokens),
          missing: number(said.missing),
        },
        ...voted,
      ];
    case "grown":
      return [
        {
          type: "grown",
          node: text(said.node),
          parent: text(said.parent),
          text: text(said.text),
          reward: number(said.reward),
          tokens: number(said.tokens),
          isFinished: Boolean(said.finish_reason),
          answer: said.answer ?? null,
        },
        ...voted,
      ];
    case "pruned":
      return [{ type: "pruned", dropped: list(said.dropped).map(text) }];
    case "ended":
      return number(said.missing) === 0 ? [] : [{ type: "ended", why: ENDED[said.why] ?? null }];
    default:
      return [];
  }
}

function chunk(said) {
  if (said.error) return [{ type: "failure", message: text(said.error.message ?? "The server failed.") }];
  const told = [];
  const written = list(said.choices)[0]?.delta?.content;
  if (written) told.push({ type: "text", text: text(written) });
  const end = said.planner ?? list(said.choices)[0]?.planner;
  if (end) {
    const read = receipt(end, said.id ?? null);
    told.push({ type: "spend", ...read.spend }, { type: "receipt", receipt: read });
  }
  return told;
}
