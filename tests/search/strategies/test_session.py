"""A session gives back what it held, waits for what others give back, and ends all its work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from search.budget import Budget, Ledger
from search.engines.protocol import ChildFinished, Sampling
from search.plan import Plan
from search.strategies.session import Session

MAJORITY, BEST = Plan.parse("majority"), Plan.parse("best_of_n")


def session(b: Any, plan: Plan, budget: Budget) -> Session:
    return Session(plan.strategy, b.problem, plan, b.setting, Ledger(budget, b.engine.card, b.reward.card))


async def test_two_draws_share_a_budget_that_holds_one_at_a_time(bench: Any) -> None:
    """The second waits for what the first gives back, instead of giving up."""
    b = bench(lambda text, rng: "# 5")
    async with session(b, MAJORITY, Budget(tokens=b.prompt + 60)) as s:
        seen: list[ChildFinished] = []

        async def draw(seed: int) -> int:
            return await s.draw((), 2, seed, lambda i, child, held: seen.append(child), sampling=Sampling())

        assert await asyncio.gather(draw(1), draw(2)) == [2, 2]
        assert [child.text for child in seen] == ["# 5"] * 4


async def test_room_is_the_smaller_of_limit_and_context(bench: Any) -> None:
    b = bench(max_tokens=60)
    async with session(b, MAJORITY, Budget.unlimited()) as s:
        assert [s.room(generated) for generated in (0, 59, 60, 61)] == [60, 1, 0, 0]
    b = bench(max_tokens=60, context=20)
    async with session(b, MAJORITY, Budget.unlimited()) as s:
        assert s.room(3) == 20 - b.prompt - 3


async def test_leaving_releases_what_was_never_sent(bench: Any) -> None:
    b = bench()
    async with session(b, BEST, Budget(tokens=100)) as s:
        s.hold_scoring(("abc",))
        assert s.ledger.committed_tokens == b.prm_prompt + 4
    assert s.ledger.committed_tokens == 0


async def test_scoring_that_does_not_fit_returns_no_rewards(bench: Any) -> None:
    b = bench()
    async with session(b, BEST, Budget(tokens=b.prm_prompt + 3)) as s:
        scored = await s.score(s.open(), ("abc",), s.hold_scoring(("abc",)))
        assert (scored.rewards, scored.handle, s.ledger.spend.tokens) == ((), s.open(), 0)
        assert b.reward.calls == []


async def test_spawned_work_ends_with_the_session(bench: Any) -> None:
    b = bench()
    async with session(b, MAJORITY, Budget(seconds=1000)) as s:
        task = s.spawn(asyncio.Event().wait())
    assert task.cancelled()


async def test_an_error_inside_ends_the_session_too(bench: Any) -> None:
    b = bench()
    tasks = []

    async def fail() -> None:
        async with session(b, MAJORITY, Budget.unlimited()) as s:
            tasks.append(s.spawn(asyncio.Event().wait()))
            raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        await fail()
    assert tasks[0].cancelled()
