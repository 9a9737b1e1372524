"""Feedback on a solution: what ``refine`` revises by. Each kind of it is one function here.

``none``: the policy's own critique. ``judge``: the step rewards of whatever reward the choice names, so a
prompted verifier and a PRM serve alike. ``tests``: those that the question itself shows, run in the jail.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from search.grading.registry import domain
from search.grading.verdict import Tried
from search.result import Call, Candidate
from search.scores import split
from search.strategies.asking.dialogue import Dialogue

if TYPE_CHECKING:
    from search.strategies.protocol import Strategy

__all__ = ["FEEDBACKS", "Feedback", "feedback_of"]

#: tokens below which a critique says nothing
_LEAST = 8
#: how a critique says that nothing is wrong
_RIGHT = re.compile(r"\W*(?:(?:all|it|this|that|the solution) is )?correct\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was said of a solution; ``is_right``: nothing is wrong, so it is not revised."""

    text: str
    is_right: bool = False


async def feedback_of(
    strategy: Strategy, dialogue: Dialogue, candidate: Candidate, seed: int
) -> Feedback | None:
    """What is to be said of a candidate; None where nothing could be: no budget, no time, no context."""
    if dialogue.ends:
        return None
    kind = str(dict(strategy.plan.parameters)["feedback"])
    return await _KINDS[kind](strategy, dialogue, candidate, seed)


async def _critique(
    strategy: Strategy, dialogue: Dialogue, candidate: Candidate, seed: int
) -> Feedback | None:
    """The policy's own. It is asked only where a revision of the same length would fit after it."""
    question = dialogue.problem.question
    text = strategy.say(dialogue.setting, "critique", question=question, solution=candidate.text)
    after = strategy.say(dialogue.setting, "revise", question=question, solution=candidate.text, feedback="")
    if not dialogue.affords(text, _LEAST, after, candidate.tokens + _LEAST):
        return None
    said = await dialogue.remark("critique", text, seed=seed, least=_LEAST)
    return None if said is None else Feedback(said, _RIGHT.fullmatch(said.strip()) is not None)


async def _verdict(
    strategy: Strategy, dialogue: Dialogue, candidate: Candidate, seed: int
) -> Feedback | None:
    """What the reward gave each step. One that could not be scored ends the rounds: nothing tells whether
    another would be better."""
    steps = split(candidate.text, dialogue.setting.delimiter)
    if not steps:
        return Feedback(strategy.say(dialogue.setting, "verdict", verdict="0.00  (it has no steps)"))
    if not candidate.step_rewards:
        return None
    lines = [
        f"{reward:.2f}  {step.strip()}" for reward, step in zip(candidate.step_rewards, steps, strict=False)
    ]
    return Feedback(strategy.say(dialogue.setting, "verdict", verdict="\n".join(lines)))


async def _tests(strategy: Strategy, dialogue: Dialogue, candidate: Candidate, seed: int) -> Feedback | None:
    """What the question's own tests say. One that states no program fails them."""
    problem, grader = dialogue.problem, domain(dialogue.problem.domain)
    left = dialogue.ledger.seconds_left
    trying = asyncio.ensure_future(asyncio.to_thread(grader.try_tests, problem, candidate.answer))
    done, _ = await asyncio.wait({trying}, timeout=left if math.isfinite(left) else None)
    if not done:
        trying.add_done_callback(_heard)  # it ends by itself: its own limit is seconds
        return None
    tried = trying.result()
    dialogue.jail_seconds += tried.seconds
    dialogue.calls.append(Call("tests", tried.report or "passed"))
    if not tried.report:
        return Feedback("", is_right=True)
    return Feedback(strategy.say(dialogue.setting, "report", report=tried.report))


def _heard(work: asyncio.Future[Tried]) -> None:
    """Take note of how it ended: nobody waits for it any more."""
    if not work.cancelled():
        work.exception()


_Kind = Callable[["Strategy", Dialogue, Candidate, int], Awaitable[Feedback | None]]
_KINDS: Mapping[str, _Kind] = MappingProxyType({"none": _critique, "judge": _verdict, "tests": _tests})
#: what a plan may name
FEEDBACKS = tuple(_KINDS)
