"""A request that fails is asked again where nothing is charged twice, and as long as there is time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from search.budget import UNLIMITED, Budget
from search.engines.protocol import ChildFinished, Event, FinishReason, Request
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import BrokenError, EngineError, RewardError, UnreachableError
from search.plan import Plan
from search.result import Result
from search.run import run_plan
from search.strategies.observer import Observer
from search.strategies.running.retry_delay import retry_delay

SOLUTION = "2+3=5\n# 5"
#: with the end of the sequence
LENGTH = len(SOLUTION) + 1
AWAY = UnreachableError("a server must be reachable, got nobody")


def partial(child: int, written: str, lost: int) -> ChildFinished:
    ids = tuple(map(ord, written))
    return ChildFinished(child, written, ids, (0.0,) * len(ids), FinishReason.LOST, lost)


class Failing(ScriptedEngine):
    """Fails as told, one request after another, then writes ``SOLUTION``."""

    def __init__(self, *failures: EngineError) -> None:
        super().__init__(lambda text, rng: SOLUTION[len(text.partition(TURN)[2]) :])
        self.failures = list(failures)
        self.requests: list[Request] = []

    def submit(self, request: Request) -> AsyncIterator[Event]:
        self.requests.append(request)
        return self._fail(self.failures.pop(0)) if self.failures else super().submit(request)

    async def _fail(self, error: EngineError) -> AsyncIterator[Event]:
        raise error
        yield  # pragma: no cover


class Frugal(Observer):
    """Does without a policy that has failed."""

    def __init__(self) -> None:
        self.failure: EngineError | None = None

    def failed(self, error: EngineError) -> bool:
        self.failure = error
        return True


async def run(b: Any, engine: ScriptedEngine, budget: Budget, plan: str, **parts: Any) -> Result:
    setting = replace(b.setting, engine=engine, **parts)
    return await run_plan(b.problem, Plan.parse(plan), setting, seed=3, budget=budget)


@pytest.mark.parametrize(
    ("error", "breaks", "left", "again"),
    [
        (AWAY, 0, math.inf, False),
        (AWAY, 40, 60.0, True),
        (AWAY, 0, 0.01, False),
        (UnreachableError("busy", retry_after=8.0), 0, 9.0, True),
        (UnreachableError("busy", retry_after=8.0), 0, 7.0, False),
        (BrokenError("cut", (partial(0, "2", 1),)), 2, math.inf, True),
        (BrokenError("cut", (partial(0, "2", 1),)), 3, math.inf, False),
        (BrokenError("cut", (partial(0, "2", 1),)), 40, 60.0, True),
        (BrokenError("cut"), 0, 60.0, False),
        (EngineError("dead"), 0, 60.0, False),
    ],
)
def test_what_is_asked_again(error: EngineError, breaks: int, left: float, again: bool) -> None:
    pause = retry_delay(error, breaks, left)
    assert (pause is not None) == again
    least = getattr(error, "retry_after", None) or 0.0
    assert pause is None or (0.0 < pause < left and pause >= least)


async def test_an_unreachable_server_is_waited_for_within_the_deadline_and_costs_nothing(bench: Any) -> None:
    b, engine = bench(), Failing(AWAY, AWAY)
    found = await run(b, engine, Budget(seconds=60.0), "majority(n=3)")
    assert found.answer == "5"
    assert len(engine.requests) == 3
    assert found.spend.policy_tokens == b.prompt + 3 * LENGTH
    with pytest.raises(UnreachableError):
        await run(b, Failing(AWAY), UNLIMITED, "majority(n=3)")


async def test_breaks_are_mended_as_long_as_there_is_time(bench: Any) -> None:
    """Each break loses two tokens of one child; six of them are more than are mended without a deadline."""
    failures = [BrokenError("cut", (partial(0, SOLUTION[i], 1),)) for i in range(6)]
    b, engine = bench(), Failing(*failures)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("search.strategies.running.session.retry_delay", _at_once)
        found = await run(b, engine, Budget(seconds=60.0), "cot()")
        with pytest.raises(BrokenError):
            await run(b, Failing(*failures), UNLIMITED, "cot()")
    assert found.candidates[0].text == SOLUTION
    assert found.spend.policy_tokens == b.prompt + LENGTH + 6
    assert [len(request.prompt) - b.prompt for request in engine.requests] == list(range(7))


def _at_once(error: EngineError, breaks: int, seconds_left: float) -> float | None:
    """The rule without its pauses."""
    return None if retry_delay(error, breaks, seconds_left) is None else 0.0


async def test_a_policy_that_is_gone_is_done_without_where_there_is_an_answer(bench: Any) -> None:
    class Half(ScriptedEngine):
        """One child ends; then nothing is known of the others."""

        async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
            async for event in super().events(request, flight):
                yield event
                if isinstance(event, ChildFinished):
                    raise EngineError("dead")

    b, ear = bench(max_tokens=40), Frugal()

    def half() -> ScriptedEngine:
        return Half(lambda text, rng: SOLUTION)

    found = await run(b, half(), UNLIMITED, "majority(n=3)", observer=ear)
    assert isinstance(ear.failure, EngineError)
    assert (found.answer, len(found.candidates)) == ("5", 1)
    assert found.spend.policy_tokens == b.prompt + LENGTH + 2 * 40  # all that the others may have taken
    with pytest.raises(EngineError, match="dead"):
        await run(b, half(), UNLIMITED, "majority(n=3)")  # nobody said it may
    with pytest.raises(EngineError, match="dead"):
        await run(b, Failing(EngineError("dead")), UNLIMITED, "majority(n=3)", observer=Frugal())


async def test_a_tree_answers_from_its_finished_beams(bench: Any) -> None:
    class Late(Failing):
        """Fails at its third request, as one beam has finished."""

        def submit(self, request: Request) -> AsyncIterator[Event]:
            if len(self.requests) == 2:
                self.failures = [EngineError("dead")] * 9
            return super().submit(request)

    def script(text: str, rng: Any) -> str:
        return "# 5" if rng.random() < 0.5 else "so\n# 6"

    b, ear, engine = bench(script), Frugal(), Late()
    engine.script = script
    found = await run(b, engine, UNLIMITED, "beam_search(n=8, width=4)", observer=ear)
    assert isinstance(ear.failure, EngineError)
    assert (found.answer, len(engine.requests)) == ("5", 3)
    assert 1 <= len(found.candidates) < 8


async def test_a_prms_server_fails_as_a_prm(bench: Any) -> None:
    """Errors of servers elsewhere are a policy's and a PRM's; a run says whose."""
    b, ear = bench(), Frugal()

    async def extend(handle: Any, steps: Any) -> Any:
        raise UnreachableError("a server must be reachable, got nobody")

    b.reward.extend = extend
    with pytest.raises(RewardError) as raised:
        await run(b, b.engine, UNLIMITED, "best_of_n(n=2)", observer=ear)
    assert not isinstance(raised.value, EngineError)
    assert ear.failure is None


async def test_whoever_leaves_while_it_waits_is_charged_nothing(bench: Any) -> None:
    b, engine = bench(), Failing(*[AWAY] * 99)
    work = asyncio.ensure_future(run(b, engine, Budget(seconds=60.0), "majority(n=3)"))
    while not engine.requests:
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(engine.requests) == 1
