"""Score logged solutions by a PRM, and wait for many pieces of work together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from search.rewards.protocol import Reward
from search.scores import split

__all__ = ["score_solution", "together"]

T = TypeVar("T")


async def score_solution(
    reward: Reward, question: str, text: str, delimiter: str
) -> tuple[tuple[float, ...], int, int, int]:
    """(step rewards, PRM prompt tokens, logical step tokens, physical tokens) of one solution.

    No steps, or more of them than the PRM's context takes: no rewards and no cost, as in a run.
    """
    steps = split(text, delimiter)
    if not steps or not reward.fits(question, steps):
        return (), reward.count(question, ())[0], 0, 0
    scored = await reward.extend(reward.open(question), steps)
    return (
        scored.rewards,
        scored.usage.prompt_tokens,
        scored.usage.logical_tokens,
        scored.usage.physical_tokens,
    )


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All at once; when one fails the others are cancelled and awaited before its error goes on."""
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
