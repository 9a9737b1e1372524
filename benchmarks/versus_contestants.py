"""The contestants of ``head_to_head.py``: what the official client asks of each, and how.

All get the question with the campaign's instruction, which asks for a short solution and a boxed answer,
except ``planner serve``, which adds that itself. All draw as the campaign does. Votes are votes of the
small model. optillm's vote compares what stands behind "Answer:", and where it finds no such line it
compares whole texts, so its instruction asks for one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openai import OpenAI
from real_campaign import LARGE, SLOTS, SMALL
from versus_deepconf import BUDGET, SURE, TOP, WHOLE, Trace, elected, share_of_leader, threshold
from versus_servers import MAX_TOKENS, SAMPLING

from search.grading.registry import domain
from search.problem import Problem

__all__ = ["BUDGETS", "CONTESTANTS", "SYSTEM", "VOTES", "Answer", "Contestant"]

VOTES = 8
#: what one question may cost at most, in dollars. A greedy answer of the large model takes about
#: 0.000_04, and a budget must hold 0.000_065 for it, as its longest solution costs
BUDGETS = {"low": 0.000_04, "medium": 0.000_08, "high": 0.000_16}
#: of a vote whose server told no logprobs: votes count alike then
_LEAST_WEIGHT = 1e-6
_LAST = "The last line is the answer within \\boxed{}."
_LABELLED = 'The last line is "Answer: " and the answer within \\boxed{}.'
#: what the models' template says where a request has no system message; optillm always sends one
SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."


@dataclass(frozen=True, slots=True)
class Answer:
    """A text; ``told``: what else is worth keeping, such as the usage that a contestant tells."""

    text: str
    told: dict[str, Any]


#: client, problem, the campaign's template -> the answer
Ask = Callable[[OpenAI, Problem, str], Answer]


@dataclass(frozen=True, slots=True)
class Contestant:
    """``behind``: which server its client asks. ``together``: questions at a time, so that the model's server
    has as many sequences as it takes."""

    name: str
    caption: str
    behind: str
    together: int
    ask: Ask


def _talk(content: str) -> list[Any]:
    return [{"role": "user", "content": content}]


def _plain(text: str | None, **told: Any) -> Answer:
    return Answer(text or "", told)


def _greedy(model: str) -> Ask:
    def ask(client: OpenAI, problem: Problem, template: str) -> Answer:
        talk = _talk(template.replace("{question}", problem.question))
        got = client.chat.completions.create(
            model=model, messages=talk, temperature=0.0, max_tokens=MAX_TOKENS
        )
        return _plain(got.choices[0].message.content, finish=got.choices[0].finish_reason)

    return ask


def _its_hub(client: OpenAI, problem: Problem, template: str) -> Answer:
    talk = _talk(template.replace("{question}", problem.question))
    got = client.chat.completions.create(model=SMALL, messages=talk, extra_body={"budget": VOTES})
    usage = got.usage
    charged = [usage.prompt_tokens, usage.completion_tokens] if usage is not None else None
    return _plain(got.choices[0].message.content, charged=charged)


def _optillm(client: OpenAI, problem: Problem, template: str) -> Answer:
    content = template.replace(_LAST, _LABELLED).replace("{question}", problem.question)
    got = client.chat.completions.create(
        model=f"majority_voting-{SMALL}",
        messages=[{"role": "system", "content": SYSTEM}, *_talk(content)],
        temperature=SAMPLING["temperature"],
        max_tokens=MAX_TOKENS,
        extra_body={"k": VOTES},
    )
    return _plain(got.choices[0].message.content)


def _deepconf(client: OpenAI, problem: Problem, template: str) -> Answer:
    talk = _talk(template.replace("{question}", problem.question))
    grader = domain(problem.domain)

    def votes(traces: list[Trace], least: float) -> list[tuple[str, float, Trace]]:
        read = [(grader.read(problem, one.text), one) for one in traces if not one.is_stopped]
        return [
            (answer, max(one.confidence, _LEAST_WEIGHT), one)
            for answer, one in read
            if answer is not None and one.confidence >= least
        ]

    def leader(found: list[tuple[str, float, Trace]]) -> tuple[Trace, float]:
        place, weights = elected(
            [(answer, weight) for answer, weight, _ in found],
            lambda one, other: grader.equal(problem, one, other),
        )
        return found[place][2], share_of_leader(weights)

    traces = _drawn(client, talk, WHOLE, None)
    least = threshold(traces)
    found = votes(traces, least)
    while len(traces) < BUDGET and not (found and leader(found)[1] >= SURE):
        traces += _drawn(client, talk, 1, least)
        found = votes(traces, least)
    chosen = leader(found)[0] if found else max(traces, key=lambda one: one.confidence)
    return _plain(chosen.text, drawn=len(traces), stopped=sum(one.is_stopped for one in traces))


def _drawn(client: OpenAI, talk: list[Any], count: int, least: float | None) -> list[Trace]:
    """Solutions by one stream; one solution is stopped once it falls below ``least``."""
    traces = [Trace() for _ in range(count)]
    with client.chat.completions.create(
        model=SMALL,
        messages=talk,
        n=count,
        temperature=SAMPLING["temperature"],
        max_tokens=MAX_TOKENS,
        logprobs=True,
        top_logprobs=TOP,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                trace = traces[choice.index]
                trace.pieces.append(choice.delta.content or "")
                if choice.logprobs is not None:
                    trace.add(choice.logprobs.content or ())
                if least is not None and trace.lowest is not None and trace.lowest < least:
                    trace.is_stopped = True
                    return traces
    return traces


def _planner(usd: float) -> Ask:
    def ask(client: OpenAI, problem: Problem, _: str) -> Answer:
        got = client.chat.completions.create(
            model="planner", messages=_talk(problem.question), extra_body={"budget": {"usd": usd}}
        ).to_dict()
        receipt: Any = got["planner"]
        usage: Any = got["usage"]
        choice: Any = got["choices"]
        told = {name: receipt.get(name) for name in ("policy", "plan", "ended", "answer", "reason")}
        told |= {"charged": [usage["prompt_tokens"], usage["completion_tokens"], receipt["spend"]["usd"]]}
        return _plain(
            choice[0]["message"]["content"],
            **{name: value for name, value in told.items() if value is not None},
        )

    return ask


#: in the order in which they are asked
CONTESTANTS = (
    Contestant("greedy-small", "0.5B, greedy", "models", SLOTS[SMALL], _greedy(SMALL)),
    Contestant("greedy-large", "1.5B, greedy", "models", SLOTS[LARGE], _greedy(LARGE)),
    *(
        Contestant(
            f"planner-{name}",
            f"planner, ${1e6 * usd:g} a million",
            "planner",
            {"low": 32, "medium": 24, "high": 16}[name],
            _planner(usd),
        )
        for name, usd in BUDGETS.items()
    ),
    Contestant("its_hub", "its_hub 1.2, self-consistency of 8", "its_hub", SLOTS[SMALL] // VOTES, _its_hub),
    Contestant("optillm", "optillm 0.4, majority of 8", "optillm", SLOTS[SMALL] // VOTES, _optillm),
    Contestant("deepconf", "DeepConf, 8 at most", "models", SLOTS[SMALL] // WHOLE, _deepconf),
)
