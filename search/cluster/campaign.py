"""A campaign whose units are done by actors of a Ray cluster; log, seeds and resume are those of one process.

The driver, which is this process, alone writes the log: whatever dies elsewhere, a unit is logged once and
whole or not at all, and what was logged is not done again. A driver that dies takes its actors with it, and
the same command goes on from the log.

A unit whose actor died is given to another one, alone. A unit that fails twice by an error of its own, or at
which actors have died ``deaths`` times, is done problem by problem: those that fail then are recorded in the
table ``failures`` and left out, and the campaign goes on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import polars as pl

from search.budget import Prices
from search.campaigns.campaign import Campaign, Progress
from search.campaigns.expectation import Expectation
from search.campaigns.grid import Grid
from search.campaigns.shared_runs import shared_rows
from search.campaigns.spending import Meter, SpendLimit
from search.campaigns.trial import Measured
from search.campaigns.unit import Unit
from search.campaigns.unit_work import Work
from search.cluster.crew import Crew, DiedError
from search.cluster.messages import Assignment, Failed, GivenUp, Job, Made
from search.cluster.placement import Placement
from search.errors import ClusterError
from search.loader import Loader
from search.log.records import table_frame
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

__all__ = ["ClusterCampaign"]

#: how often a unit may fail by an error before it is done problem by problem
_ERRORS = 2
#: failed problems after which, where nothing ever succeeded, the fault is not theirs
_ALL_WRONG = 8
#: of what a unit is expected to take, what it may take before it is looked at again
_ALLOWANCE = 1.5
#: seconds before a unit is tried again, doubled each time
PAUSE = 0.25


class ClusterCampaign(Campaign):
    """A grid on a problem set, by actors.

    Parameters
    ----------
    problems, grid, log, loader, in_flight, prices, limit:
        As ``Campaign`` takes them. ``loader`` tells cards and loads nothing. ``in_flight``: per actor.
    ray:
        The package, connected (``search.cluster.ray_session``).
    make_loader:
        Makes the loader on an actor's node; to be pickled.
    placements:
        Name of a model -> its placement; one actor with one CPU where nothing is said.
    setup:
        Called in each actor before anything else (plug-ins); to be pickled.
    deaths:
        Actors that may die at a unit before it is done problem by problem.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        grid: Grid,
        log: SearchLog,
        loader: Loader,
        *,
        ray: Any,
        make_loader: Callable[[], Loader],
        placements: Mapping[str, Placement] = MappingProxyType({}),
        setup: Callable[[], object] | None = None,
        deaths: int = 5,
        in_flight: int | None = None,
        prices: Mapping[str, Prices] = MappingProxyType({}),
        limit: SpendLimit | None = None,
    ) -> None:
        super().__init__(problems, grid, log, loader, in_flight=in_flight, prices=prices, limit=limit)
        self._ray = ray
        self._make_loader = make_loader
        self._placements = dict(placements)
        self._setup = setup
        self._deaths = deaths
        self._crew: Crew | None = None
        self._changed: Callable[[], None] = _nothing

    async def run_async(self, progress: Callable[[Progress], None] | None = None) -> Progress:
        try:
            return await super().run_async(progress)
        finally:
            if self._crew is not None:
                await self._crew.close()
                self._crew = None

    async def measure(self) -> dict[str, Measured]:
        """The trial of a dry run, on one actor."""
        crew = await self._started()
        try:
            first = Unit("samples", "", self.problems[:1], self.grid.policies[0], "", Plan.of("cot"), -1)
            found: dict[str, Measured] = await crew.ask(first, "measure", self.problems, self.grid)
            return found
        finally:
            await crew.close()
            self._crew = None

    def _work(self, meter: Meter, expected: Expectation) -> Work:
        assert self._crew is not None  # made by what was checked before
        work = _ClusterWork(self._crew, self.log, meter, expected, self._deaths)
        self._changed = work.changed.set
        return work

    async def _check(self, missing: Sequence[Unit]) -> None:
        if not missing:
            self._crew = Crew(self._ray, self._job(), {}, {})
            return
        crew = await self._started()
        for policy in dict.fromkeys(unit.policy for unit in missing):
            runs = [unit for unit in missing if unit.policy == policy and unit.table == "runs"]
            if runs:
                fault = await crew.ask(runs[0], "check", runs)
                if fault is not None:
                    raise fault.error()

    async def _started(self) -> Crew:
        judges = dict.fromkeys(pair.prm for pair in self.grid.pair if pair.prm is not None)
        self._crew = Crew(
            self._ray,
            self._job(),
            {name: self._placements.get(name, Placement()) for name in self.grid.policies},
            {name: self._placements.get(name, Placement()) for name in judges},
            lambda: self._changed(),
        )
        await self._crew.start()
        return self._crew

    def _job(self) -> Job:
        return Job(
            self.grid,
            self._make_loader,
            self._samplings(),
            self.limits,
            dict(self._prices),
            self._in_flight,
            self._setup,
        )


class _ClusterWork:
    """Does units by a crew (``search.campaigns.unit_work.Work``)."""

    def __init__(self, crew: Crew, log: SearchLog, meter: Meter, expected: Expectation, deaths: int) -> None:
        self._crew = crew
        self._log = log
        self._meter = meter
        self._expected = expected
        self._deaths = deaths
        self._held: dict[str, float] = {}  # unit -> what it may spend
        self._succeeded = False
        self._failed = 0
        self.changed = asyncio.Event()

    def is_alone(self, unit: Unit) -> bool:
        """Never: what may not run beside another unit has an actor to itself."""
        return False

    def has_room(self, unit: Unit) -> bool:
        return unit.source is not None or self._crew.has_room(unit)

    def backend(self, unit: Unit) -> str:
        told = self._crew.told(unit)
        return "" if told is None or unit.table == "scores" else told.backend

    async def draw(self, unit: Unit) -> pl.DataFrame:
        return await self._done(unit, None)

    async def search(self, unit: Unit) -> pl.DataFrame:
        return await self._done(unit, None)

    async def share(self, unit: Unit, log: SearchLog) -> pl.DataFrame:
        return await shared_rows(unit, log)

    async def score(self, unit: Unit, samples: pl.DataFrame) -> pl.DataFrame:
        return await self._done(unit, samples)

    async def _done(self, unit: Unit, samples: pl.DataFrame | None) -> pl.DataFrame:
        found = await self._tried(unit, samples)
        if isinstance(found, Failed):
            return await self._one_by_one(unit, samples, found)
        return found

    async def _tried(self, unit: Unit, samples: pl.DataFrame | None) -> pl.DataFrame | Failed:
        """The rows, or what keeps failing. Raises what would keep every unit from being done."""
        errors = deaths = 0
        while True:
            try:
                # what shares an actor with a unit that ends its process is lost with it
                asked = Assignment(unit, samples, self._allowance(unit))
                reply = await self._crew.do(asked, aside=deaths > 0)
            except DiedError as error:
                deaths += 1
                self._charge(unit)
                if deaths >= self._deaths:
                    return Failed("ClusterError", f"{deaths} actors died at it: {error}")
                continue
            finally:
                held = self._held.pop(unit.name, 0.0)
            if isinstance(reply, Made):
                self._meter.add(reply.usage)
                self._succeeded = True
                return reply.rows
            self._meter.add(reply.usage)
            if isinstance(reply, GivenUp):
                if held < self._meter.left - math.fsum(self._held.values()) and not self._held:
                    self._held[unit.name] = self._meter.left  # alone, with all that is left
                    continue
                self._meter.exhausted.set()
                await asyncio.Event().wait()  # until the campaign cancels it
            if isinstance(reply, Failed):
                if reply.is_general:
                    raise reply.error()
                errors += 1
                if reply.is_passing and errors < self._deaths:
                    await asyncio.sleep(PAUSE * 2**errors)
                elif reply.is_passing:
                    raise reply.error()
                elif errors >= _ERRORS:
                    return reply

    async def _one_by_one(self, unit: Unit, samples: pl.DataFrame | None, whole: Failed) -> pl.DataFrame:
        """The rows of the problems that can be done; the others are recorded."""
        rows: list[pl.DataFrame] = [table_frame(unit.table, [])]
        failures: list[dict[str, object]] = []
        for problem in unit.problems:
            single = replace(unit, problems=(problem,), name=f"{unit.name}.{len(rows) + len(failures)}")
            found: pl.DataFrame | Failed = whole
            if len(unit.problems) > 1:
                mine = None if samples is None else samples.filter(pl.col("problem_id") == problem.problem_id)
                found = await self._tried(single, mine)
            if not isinstance(found, Failed):
                rows.append(found)
                continue
            self._failed += 1
            failures.append(_failure(unit, problem, found))
            if self._failed >= _ALL_WRONG and not self._succeeded:
                raise ClusterError(
                    f"some unit must succeed, got {self._failed} problems that failed: {found}"
                )
        if failures:
            self._log.append("failures", table_frame("failures", failures), unit=unit.name)
        return pl.concat(rows)

    # -- limits

    def _allowance(self, unit: Unit) -> SpendLimit | None:
        """What a unit may spend: more than is expected, never more than is left."""
        limit = self._meter.limit
        if limit is None:
            return None
        if unit.name not in self._held:
            left = self._meter.left - math.fsum(self._held.values())
            self._held[unit.name] = max(0.0, min(left, _ALLOWANCE * self._expected.cost(unit)))
        held = self._held[unit.name]
        if limit.usd is None:
            return SpendLimit(tokens=max(1, int(held)))
        return SpendLimit(usd=max(1e-12, held))

    def _charge(self, unit: Unit) -> None:
        """What an actor that died had spent is not known: all that it might have is counted."""
        if unit.name in self._held:
            usage = self._meter.usage(unit.policy)
            price = self._meter.cost((unit.policy, 0.0, 1000.0)) / 1000.0
            usage.generated += math.ceil(self._held[unit.name] / price) if price > 0.0 else 0


def _failure(unit: Unit, problem: Problem, found: Failed) -> dict[str, object]:
    return {
        "problem_id": problem.problem_id,
        "policy": unit.policy,
        "prm": unit.prm,
        "plan": str(unit.plan),
        "stage": unit.table,
        "first": unit.first,
        "error": str(found),
    }


def _nothing() -> None:
    """Nobody waits yet."""
