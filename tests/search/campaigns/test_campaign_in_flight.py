"""Campaigns on models that promise no equal bits: many units at a time, each logged whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import scripted_campaign as scripted

from search.budget import Prices
from search.campaigns.campaign import Campaign, Progress
from search.campaigns.grid import Grid
from search.campaigns.spending import SpendLimit
from search.engines.protocol import Engine, Event, Request
from search.engines.scripted import ScriptedEngine
from search.errors import EngineError, GridError
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog
from search.rewards.scripted import ScriptedReward


class Loose(Engine):
    """The scripted engine, as one that promises nothing; counts the solutions in flight at a time."""

    def __init__(self, inner: ScriptedEngine, concurrency: int = 8, fails_at: int = 0) -> None:
        self._inner = inner
        self._fails_at = fails_at
        self.card = inner.card
        self.concurrency = concurrency
        self.open = self.most = self.requests = 0

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._inner.prompt(question)

    def submit(self, request: Request) -> AsyncIterator[Event]:
        self.requests += 1
        if self.requests == self._fails_at:
            raise EngineError("the server is gone")
        return self._events(self._inner.submit(request), request.n)

    async def _events(self, events: AsyncIterator[Event], children: int) -> AsyncIterator[Event]:
        self.open += children
        self.most = max(self.most, self.open)
        try:
            async for event in events:
                yield event
        finally:
            self.open -= children

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        await self._inner.cancel(request_id, child)

    async def close(self) -> None:
        await self._inner.close()


class LooseReward(ScriptedReward):
    equal_bits = False


def loose_reward() -> LooseReward:
    strict = scripted.reward()
    reward = LooseReward(strict.script, name="r")
    assert reward.card == strict.card
    return reward


GRID = {**scripted.GRID, "samples": 10}  # 4 + 4 + 2


def campaign(log: SearchLog, engine: Engine, count: int = 8, **options: Any) -> Campaign:
    changes = options.pop("changes", {})
    loader = ReadyLoader([engine], [loose_reward()])
    return Campaign(scripted.problems(count), Grid.of({**GRID, **changes}), log, loader, **options)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    log = SearchLog.at(tmp_path_factory.mktemp("alone") / "log")
    loader = ReadyLoader([scripted.engine()], [scripted.reward()])
    Campaign(scripted.problems(8), Grid.of(GRID), log, loader).run()
    return log


def test_many_units_are_in_flight_and_the_log_is_the_same(tmp_path: Path, alone: SearchLog) -> None:
    log, engine = SearchLog.at(tmp_path / "log"), Loose(scripted.engine(), concurrency=64)
    states: list[Progress] = []
    last = campaign(log, engine).run(states.append)
    assert difference(log, alone) is None
    assert log.units("samples") == alone.units("samples")
    assert (last.done, last.is_stopped) == (last.total, False)
    assert [state.done for state in states] == sorted(state.done for state in states)
    assert 3 * 4 < engine.most <= 64 + 16  # more than a unit, within the gate


def test_the_gate_bounds_what_is_in_flight(tmp_path: Path, alone: SearchLog) -> None:
    log, engine = SearchLog.at(tmp_path / "log"), Loose(scripted.engine())
    campaign(log, engine, in_flight=4).run()
    assert engine.most == 4
    assert difference(log, alone) is None


@pytest.mark.parametrize("fails_at", [1, 9, 20, 30])
def test_a_failure_keeps_whole_units_and_the_rest_is_gone_on_with(
    tmp_path: Path, alone: SearchLog, fails_at: int
) -> None:
    log = SearchLog.at(tmp_path / "log")
    broken = Loose(scripted.engine(), concurrency=32, fails_at=fails_at)
    with pytest.raises(EngineError, match="the server is gone"):
        campaign(log, broken).run()
    assert broken.open == 0
    for unit in log.units("samples"):
        assert log.read_unit("samples", unit).equals(alone.read_unit("samples", unit))
    campaign(log, Loose(scripted.engine())).run()
    assert difference(log, alone) is None


async def test_a_cancelled_campaign_leaves_nothing_in_flight(tmp_path: Path, alone: SearchLog) -> None:
    log, engine = SearchLog.at(tmp_path / "log"), Loose(scripted.engine())
    enough = asyncio.Event()

    def watch(state: Progress) -> None:
        if state.done == 3:
            enough.set()

    task = asyncio.ensure_future(campaign(log, engine).run_async(watch))
    await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.open == 0
    await campaign(log, Loose(scripted.engine())).run_async()
    assert difference(log, alone) is None


@pytest.mark.parametrize("engine", [Loose(scripted.engine()), scripted.engine()], ids=["loose", "alone"])
@pytest.mark.parametrize("tokens", [1, 300, 2_000, 6_000])
def test_a_limit_on_tokens_is_not_passed_and_the_rest_is_gone_on_with(
    tmp_path: Path, alone: SearchLog, engine: Engine, tokens: int
) -> None:
    log = SearchLog.at(tmp_path / "log")
    last = campaign(log, engine, limit=SpendLimit(tokens=tokens)).run()
    assert last.is_stopped
    assert last.tokens <= tokens
    samples = log.read("samples")
    prompts = samples.unique("problem_id")["prompt_tokens"].sum()
    assert samples["tokens"].sum() + prompts <= tokens
    assert (samples.height > 0) == (tokens >= 2_000)
    for unit in log.units("samples"):
        assert log.read_unit("samples", unit).equals(alone.read_unit("samples", unit))
    done = last.done
    last = campaign(log, engine).run()
    assert (last.is_stopped, last.done) == (False, last.total)
    assert done < last.total
    assert difference(log, alone) is None


def test_a_limit_on_money_counts_by_prices(tmp_path: Path) -> None:
    log, prices = SearchLog.at(tmp_path / "log"), {"m": Prices(prompt=1.0, generated=1000.0)}
    last = campaign(log, Loose(scripted.engine()), prices=prices, limit=SpendLimit(usd=2.0)).run()
    samples = log.read("samples")
    assert last.usd is not None
    assert 1e-3 * samples["tokens"].sum() <= last.usd <= 2.0
    assert last.is_stopped
    assert samples.height > 0
    assert campaign(log, Loose(scripted.engine()), prices=prices).run().is_stopped is False


def test_the_time_left_falls_to_nothing(tmp_path: Path) -> None:
    states: list[Progress] = []
    campaign(SearchLog.at(tmp_path / "log"), Loose(scripted.engine())).run(states.append)
    assert states[0].left is None
    assert states[-1].left == 0.0
    assert all(state.left is not None and state.left >= 0.0 for state in states[2:])


def test_in_flight_is_positive(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="solutions in flight must be at least 1, got 0"):
        campaign(SearchLog.at(tmp_path / "log"), scripted.engine(), in_flight=0)
