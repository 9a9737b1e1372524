"""The parts of ``served_models.py``: what a client asks of ``planner serve``, and what came of it."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import openai
from openai import APIStatusError, OpenAI
from served_probes import Upstream, differences

__all__ = ["CAP", "DEADLINE", "PARTS", "TOKENS", "Setting"]

#: what clients ask for: seconds, tokens of a planned answer, tokens of a forced plan that would take more,
#: and fewer tokens than the cheapest plan may take
DEADLINE, TOKENS, CAP, FEW = 40.0, 700, 350, 60
#: tokens of an answer that is passed on
MOST = 128
FORCED = "planner/majority(n=4)"
#: questions whose answers differ in length, so that a deadline meets some of them
SHORT = ("What is 12 + 30?", "How many days has a week?")
#: answers that are timed one by one
TIMED = 9

_Found = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What the parts work with.

    ``client``: of the planner's server. ``upstream``: the model's server. ``policy``: what the planner's
    server calls the model. ``check``: asks ``planner models check`` what the model's server can do.
    """

    client: OpenAI
    upstream: Upstream
    questions: Sequence[str]
    policy: str
    check: Callable[[], _Found]


# -- one answer -------------------------------------------------------------------------------------

Ask = Callable[[str], _Found]


def row(answer: Mapping[str, Any]) -> _Found:
    """What one answer costs by its usage, and whether its receipt says the same."""
    usage, receipt = answer["usage"], answer["planner"]
    spend = receipt["spend"]
    return {
        "charged": usage["completion_tokens"],
        "prompt": usage["prompt_tokens"],
        "tokens": usage["total_tokens"],
        "ended": receipt.get("ended"),
        "plan": receipt.get("plan"),
        "agrees": spend["tokens"] == usage["total_tokens"] and spend["usd"] is not None,
    }


def asks(ready: Setting, model: str, **more: Any) -> Ask:
    """Asks one question and waits for the whole answer."""

    def ask(question: str) -> _Found:
        talk: Any = [{"role": "user", "content": question}]
        return row(ready.client.chat.completions.create(model=model, messages=talk, **more).to_dict())

    return ask


def streams(ready: Setting, model: str, *, usage: bool = True, **more: Any) -> Ask:
    """Asks one question, the answer as a stream: what comments tell, and the receipt in the last chunk."""

    def ask(question: str) -> _Found:
        talk: Any = [{"role": "user", "content": question}]
        comments: Counter[str] = Counter()
        pieces, receipt, told = 0, {}, {}
        with ready.client.chat.completions.with_streaming_response.create(
            model=model, messages=talk, stream=True, stream_options={"include_usage": usage}, **more
        ) as answer:
            for line in answer.iter_lines():
                if line.startswith(": planner "):
                    comments[json.loads(line.removeprefix(": planner "))["type"]] += 1
                elif line.startswith("data: {"):
                    chunk = json.loads(line.removeprefix("data: "))
                    told = chunk.get("usage") or told
                    receipt = chunk.get("planner") or receipt
                    pieces += sum(bool(one["delta"].get("content")) for one in chunk["choices"])
        return {**row({"usage": told, "planner": receipt}), "pieces": pieces, "comments": comments}

    return ask


def timed(ask: Ask, question: str) -> _Found:
    """One answer, or the error in its place, with the seconds that it took."""
    began = time.monotonic()
    try:
        found = ask(question)
    except APIStatusError as error:
        found = {"error": f"{error.status_code}: {error.message}"[:120]}
    return {**found, "seconds": round(time.monotonic() - began, 2)}


# -- many answers -----------------------------------------------------------------------------------


def settled(upstream: Upstream) -> tuple[int, int]:
    """The counters once they stand still: a server counts at the end of a sequence, or a little later."""
    last = upstream.counted()
    while True:
        time.sleep(2.0)
        now = upstream.counted()
        if now == last:
            return now
        last = now


def together(ready: Setting, ask: Ask, questions: Sequence[str] = ()) -> _Found:
    """All questions (by default the setting's) at a time: how many were answered, what they cost, and what
    the server counted."""
    before = settled(ready.upstream)
    questions = questions or ready.questions
    with ThreadPoolExecutor(len(questions)) as pool:
        found = list(pool.map(lambda question: timed(ask, question), questions))
    after = settled(ready.upstream)
    done = [one for one in found if "error" not in one]
    comments: Counter[str] = Counter()
    for one in done:
        comments.update(one.get("comments", {}))
    return {
        "asked": len(found),
        "answered": len(done),
        "errors": dict(Counter(one["error"] for one in found if "error" in one)),
        "charged": sum(one["charged"] for one in done),
        "told": after[1] - before[1],
        "prompt_charged": sum(one["prompt"] for one in done),
        "prompt_told": after[0] - before[0],
        "seconds": statistics.median(one["seconds"] for one in found),
        "slowest": max(one["seconds"] for one in found),
        "most_tokens": max((one["tokens"] for one in done), default=0),
        "ended": dict(Counter(str(one["ended"]) for one in done)),
        "plans": dict(Counter(str(one["plan"]) for one in done)),
        "receipts": sum(one["agrees"] for one in done),
        "pieces": sum(one.get("pieces", 0) for one in done),
        "comments": dict(comments),
    }


def latency(ready: Setting) -> _Found:
    """Milliseconds until one greedy token: of the model's server, passed on, and as a forced plan; one by
    one, in turns. Every question is another one, so that no server has its prompt."""
    found: dict[str, list[float]] = {"direct": [], "passed on": [], "planned": []}
    for turn in range(TIMED):
        for way, times in found.items():
            talk = [{"role": "user", "content": f"Way {way}, turn {turn}: what is {turn} + 1?"}]
            fields: Any = {"messages": talk, "max_tokens": 1, "temperature": 0.0}
            began = time.monotonic()
            if way == "direct":
                ready.upstream.ask("/v1/chat/completions", **fields)
            else:
                model = ready.policy if way == "passed on" else "planner/cot()"
                ready.client.chat.completions.create(model=model, **fields)
            times.append(1000.0 * (time.monotonic() - began))
    return {way: round(statistics.median(times), 1) for way, times in found.items()}


def leaving(ready: Setting) -> _Found:
    """A client that leaves a stream of a plan some seconds after its work began: what is written
    after that."""
    before = settled(ready.upstream)[1]
    talk: Any = [{"role": "user", "content": ready.questions[0]}]
    with ready.client.chat.completions.with_streaming_response.create(
        model=FORCED, messages=talk, stream=True
    ) as answer:
        lines = answer.iter_lines()
        while '"started"' not in next(lines):
            pass
        time.sleep(12.0)
        lines.close()  # type: ignore[attr-defined]
    time.sleep(1.0)
    first = ready.upstream.counted()[1]
    time.sleep(4.0)
    return {"written": first - before, "afterwards": settled(ready.upstream)[1] - first}


def several(ready: Setting) -> _Found:
    """Two answers to one question (``n``), and a conversation of three turns."""
    first = ready.questions[0]
    talk: Any = [{"role": "user", "content": first}]
    two = ready.client.chat.completions.create(
        model="planner/cot()", messages=talk, n=2, max_tokens=32
    ).to_dict()
    turns: Any = [*talk, {"role": "assistant", "content": "It is 1."}, {"role": "user", "content": "Sure?"}]
    conversation = ready.client.chat.completions.create(
        model="planner/cot()", messages=turns, max_tokens=32
    ).to_dict()
    return {
        "choices": len(two["choices"]),
        "conversation": conversation["choices"][0]["finish_reason"],
        "conversation_receipt": conversation["planner"]["reason"],
    }


def faults(ready: Setting) -> _Found:
    """Requests that must be refused: status and message."""
    long = "one two three " * 600
    wrong: dict[str, tuple[str, str, dict[str, Any]]] = {
        "too long, passed on": (ready.policy, long, {}),
        "too long, forced": (FORCED, long, {}),
        "too long, planned": ("planner", long, {}),
        "unknown model": ("no-such", "1 + 1?", {}),
        "too few tokens, planned": ("planner", ready.questions[0], {"budget": {"tokens": FEW}}),
        "a second's thousandth": (FORCED, ready.questions[0], {"budget": {"seconds": 0.001}}),
    }
    return {
        what: timed(asks(ready, model, extra_body=body), question).get("error", "answered")
        for what, (model, question, body) in wrong.items()
    }


def extra(ready: Setting) -> _Found:
    """Passed on: logprobs, and token counts, as the model's server tells them."""
    talk: Any = [{"role": "user", "content": "What is 2 + 2? Answer with the number alone."}]
    answer = ready.client.chat.completions.create(
        model="planner", messages=talk, max_tokens=4, temperature=0.0, logprobs=True, top_logprobs=3
    ).to_dict()
    told = answer["choices"][0]["logprobs"]["content"]
    return {"reason": answer["planner"]["reason"], "logprobs": len(told[0]["top_logprobs"])}


def versions(ready: Setting) -> _Found:
    """Of the model's server, and of the client; and what else the machine did."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    shared = f"shared with other work (load {load:.0f}): the seconds say nothing of the speed"
    return {
        "server": ready.upstream.version(),
        "client": openai.__version__,
        "machine": f"{cores} cores, {shared if load > cores else 'otherwise idle'}.",
    }


#: in the order in which they run
PARTS: dict[str, Callable[[Setting], _Found]] = {
    "versions": versions,
    "check": lambda ready: ready.check(),
    "differences": lambda ready: dict(differences(ready.upstream)),
    "faults": faults,
    "extra": extra,
    "passed on": lambda ready: together(ready, asks(ready, ready.policy, max_tokens=MOST)),
    "planned": lambda ready: together(
        ready, asks(ready, "planner", extra_body={"budget": {"tokens": TOKENS}})
    ),
    "forced": lambda ready: together(ready, asks(ready, FORCED)),
    "streamed": lambda ready: together(ready, streams(ready, "planner/majority(n=2)")),
    "deadline": lambda ready: {
        "deadline": DEADLINE,
        **together(
            ready, asks(ready, "planner/majority(n=8)", extra_body={"budget": {"seconds": DEADLINE}}), SHORT
        ),
    },
    "hard budget": lambda ready: together(
        ready, asks(ready, FORCED, extra_headers={"x-planner-budget": json.dumps({"tokens": CAP})})
    ),
    "several": several,
    "leaving": leaving,
    "latency": latency,
}
