"""What a server takes of ``effort=``, ``think=`` and ``wait=``: asked of it, a short answer each.

That a server takes a value does not say that its model heeds it. Where an answer has a thought, its length
says whether a budget was kept; where it has none, nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping

from search.engines.openai.engine import OpenAIEngine
from search.engines.protocol import ChildFinished, FinishReason, Request, Sampling
from search.errors import EngineError
from search.thinking_budget import EFFORTS, ThinkingBudget

__all__ = ["in_process", "thinking_support"]

#: tokens of an answer that is asked for to see whether an effort is taken, and of one behind a thought
_ONE, _ANSWER = 1, 16
#: a short thought: most tokens, and fewest
_THINK, _WAIT = 16, 8
#: the shortest thought that Anthropic takes
_LEAST_OF_ANTHROPIC = 1024
#: characters of a refusal that are shown
_SHOWN = 120


async def thinking_support(engine: OpenAIEngine, prompt: tuple[int, ...]) -> Mapping[str, str]:
    """``effort``, ``think`` and ``wait`` -> one line each. ``prompt``: a short question."""
    think = _LEAST_OF_ANTHROPIC if engine.dial.kind == "Anthropic" and engine.dialect == "chat" else _THINK
    return {
        "effort": await _efforts(engine, prompt),
        "think": await _budget(engine, prompt, ThinkingBudget(think=think)),
        "wait": await _budget(engine, prompt, ThinkingBudget(think=think, wait=_WAIT)),
    }


def in_process(thought_end: str | None) -> Mapping[str, str]:
    """The same of a policy in this process, which nobody needs to ask."""
    how = "ended by us" + (
        ", where it thinks between tags" if thought_end is None else f" at {thought_end!r}"
    )
    return {"effort": "no: needs a served policy", "think": how, "wait": how}


async def _efforts(engine: OpenAIEngine, prompt: tuple[int, ...]) -> str:
    """Those that are taken, and why those are not that the server was asked for."""
    taken: list[str] = []
    refused: dict[str, list[str]] = {}
    unfit = ""
    for effort in EFFORTS:
        wanted = ThinkingBudget(effort=effort)
        fault = engine.refuses_thinking(wanted)
        if fault is not None:
            unfit = unfit or fault
            continue
        if engine.dialect == "chat":
            fault = (await _answer(engine, prompt, wanted, _ONE))[1]
        if fault is None:
            taken.append(effort)
        else:
            refused.setdefault(fault, []).append(effort)
    lines = [f"takes {', '.join(taken)}"] if taken else []
    lines += [f"refuses {', '.join(some)} ({why})" for why, some in refused.items()]
    return "; ".join(lines) or f"no: {unfit}"


async def _budget(engine: OpenAIEngine, prompt: tuple[int, ...], wanted: ThinkingBudget) -> str:
    fault = engine.refuses_thinking(wanted)
    if fault is not None:
        return f"no: {fault}"
    most = (wanted.think or 0) + _ANSWER
    child, fault = await _answer(engine, prompt, wanted, most)
    if child is None:
        return f"refused: {fault}"
    field = ".".join(engine.dial.budget)
    how = f"taken as {field}" if engine.dialect == "chat" else "ended by us"
    thought = child.thought_tokens or 0
    if not thought:
        return f"{how}; no thought seen"
    more = "more than " if child.finish_reason == FinishReason.THOUGHT else ""
    cut = ", cut" if child.thought_cut else ""
    return f"{how}; at {wanted} a thought took {more}{thought} tokens{cut}"


async def _answer(
    engine: OpenAIEngine, prompt: tuple[int, ...], wanted: ThinkingBudget, tokens: int
) -> tuple[ChildFinished | None, str | None]:
    """A short answer, or why there is none."""
    try:
        told = engine.thinking(wanted)
        async for event in told.submit(Request(prompt, 1, tokens, Sampling(), 4)):
            if isinstance(event, ChildFinished):
                return event, None
    except EngineError as error:
        said = " ".join(str(error).split())
        return None, said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."
    return None, "no answer"
