"""A session gives back what it held, waits for what others give back, and ends all its work."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from search.budget import Budget
from search.engines.protocol import ChildFinished, Event, FinishReason, Request, Sampling
from search.engines.scripted import ScriptedEngine
from search.errors import BrokenError
from search.ledger import Ledger, Reservation
from search.plan import Plan
from search.strategies.running.session import Session
from search.testing.stepped_loop import stepped, stepped_ledger

MAJORITY, BEST = Plan.parse("majority"), Plan.parse("best_of_n")


def session(b: Any, plan: Plan, budget: Budget) -> Session:
    return Session(b.problem, plan, b.setting, Ledger(budget, b.engine.card, b.reward.card))


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


async def test_nothing_is_left_to_the_collector_of_cycles(bench: Any) -> None:
    """A server's collector stops every request while it looks for what is left."""
    b = bench()

    async def run() -> weakref.ref[Session]:
        async with session(b, MAJORITY, Budget(seconds=1000)) as s:
            await s.draw((), 2, 1, lambda i, child, held: held.release(), sampling=Sampling())
        return weakref.ref(s)

    gc.collect()
    gc.disable()
    try:
        left = await run()
        await asyncio.sleep(0)  # the loop lets go of what it has just called
        assert left() is None
    finally:
        gc.enable()


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


async def test_who_leaves_twice_leaves_nothing_behind(bench: Any) -> None:
    """The second time while what was begun is still being ended."""
    b, ending = bench(), asyncio.Event()
    left: list[Session] = []
    ended: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("before the session")

    async def work() -> None:
        async with session(b, BEST, Budget.unlimited()) as s:
            left.append(s)
            s.hold_scoring(("abc",))
            s.spawn(linger())
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert left[0].ledger.committed_tokens > 0
    task.cancel()
    await ending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["before the session"]
    assert left[0].ledger.committed_tokens == 0
    assert not left[0].tasks


class Deaf(ScriptedEngine):
    """Writes one child to its end, then hangs, and hears no cancellation."""

    def __init__(self) -> None:
        super().__init__(lambda text, rng: "# 5")
        self.cancelled = 0

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        self.cancelled += 1

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        async for event in super().events(request, flight):
            yield event
            if isinstance(event, ChildFinished):
                await asyncio.Event().wait()


async def deaf(b: Any, s: Session) -> list[ChildFinished]:
    """What is heard of three children; the vote is settled by the first."""
    seen: list[ChildFinished] = []

    def hear(number: int, child: ChildFinished, held: Reservation) -> None:
        seen.append(child)
        held.release()
        s.end_drawing()

    await s.draw((), 3, 1, hear, sampling=Sampling())
    return seen


async def test_an_engine_that_hears_no_cancellation_is_left_alone(bench: Any) -> None:
    b, engine = bench(max_tokens=20), Deaf()
    b.setting = replace(b.setting, engine=engine, cancel_within=0.01)
    async with session(b, MAJORITY, Budget.unlimited()) as s:
        assert [child.text for child in await deaf(b, s)] == ["# 5"]
        assert s.cut == 2
        assert s.ledger.spend.policy_tokens == b.prompt + 4 + 2 * 20
    assert engine.cancelled == 1


def test_it_is_left_alone_at_the_deadline_too(bench: Any) -> None:
    b = bench(max_tokens=20)
    b.setting = replace(b.setting, engine=Deaf(), cancel_within=1.0)

    async def run() -> None:
        ledger = stepped_ledger(b.setting, Budget(seconds=60))
        async with Session(b.problem, MAJORITY, b.setting, ledger) as s:
            assert await s.draw((), 3, 1, lambda i, child, held: held.release(), sampling=Sampling()) == 3
            assert s.is_over
            assert s.ledger.committed_tokens == s.ledger.spend.tokens == b.prompt + 4 + 2 * 20

    stepped(run())


@pytest.mark.parametrize("known", [0, 1, 2])
async def test_a_break_while_halting_cuts_as_many(bench: Any, known: int) -> None:
    """Of two children that are called off so many are told of by a connection that breaks meanwhile."""

    class Breaking(ScriptedEngine):
        async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
            yield ChildFinished(0, "# 5", tuple(map(ord, "# 5")), (0.0,) * 3, FinishReason.END)
            while not flight.cancelled:
                await asyncio.sleep(0)
            lost = [ChildFinished(i, "#", (35,), (0.0,), FinishReason.LOST) for i in range(1, 1 + known)]
            raise BrokenError("cut", tuple(lost))

    b = bench(max_tokens=20)
    b.setting = replace(b.setting, engine=Breaking(lambda text, rng: "# 5"))
    async with session(b, MAJORITY, Budget.unlimited()) as s:
        assert [child.text for child in await deaf(b, s)] == ["# 5"]
        assert s.cut == 2
        assert s.ledger.committed_tokens == s.ledger.spend.tokens == b.prompt + 3 + known + (2 - known) * 20


@pytest.mark.parametrize("plan", [MAJORITY, BEST])
async def test_whoever_leaves_is_charged_what_was_generated(bench: Any, plan: Plan) -> None:
    """Not the worst case of 10,000 tokens a child, and nothing for scoring that was never asked."""
    b = bench(lambda text, rng: "x" * 9000, max_tokens=10_000)
    ledger = Ledger(Budget.unlimited(), b.engine.card, b.reward.card)

    async def work() -> None:
        async with Session(b.problem, plan, b.setting, ledger) as s:
            await s.draw((), 4, 1, lambda *_: None, sampling=Sampling())

    task = asyncio.ensure_future(work())
    for _ in range(100):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [child.finish_reason for child in b.engine.children] == ["cancelled"] * 4
    assert 4 * 50 < b.engine.generated < 4 * 110
    assert ledger.committed_tokens == ledger.spend.tokens == b.prompt + b.engine.generated
    assert ledger.spend.physical_policy_tokens == b.prompt + b.engine.generated
    assert not b.engine.in_flight


async def test_whoever_leaves_a_deaf_engine_is_charged_in_full(bench: Any) -> None:
    b = bench(max_tokens=20)
    b.setting = replace(b.setting, engine=Deaf(), cancel_within=0.01)
    ledger = Ledger(Budget.unlimited(), b.engine.card, b.reward.card)
    heard = asyncio.Event()

    async def work() -> None:
        async with Session(b.problem, MAJORITY, b.setting, ledger) as s:
            await s.draw((), 3, 1, lambda *_: heard.set(), sampling=Sampling())

    task = asyncio.ensure_future(work())
    await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ledger.committed_tokens == ledger.spend.tokens == b.prompt + 4 + 2 * 20


def test_a_setting_waits_no_negative_time(bench: Any) -> None:
    with pytest.raises(ValueError, match="cancel_within cannot be negative, got -1"):
        replace(bench().setting, cancel_within=-1.0)
