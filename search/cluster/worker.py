"""What runs in an actor: one model of a campaign, doing whole units. Logs nothing, knows nothing of Ray.

A unit is done here as on one machine (``search.campaigns.unit_work``), in the same composition, so an engine
that promises equal bits keeps its promise. Such an engine does one unit after another; a second one waits
here, so that no time is lost between them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence

from search.campaigns.campaign import refusal
from search.campaigns.grid import Grid
from search.campaigns.prompted import PromptedLoader
from search.campaigns.spending import Meter
from search.campaigns.trial import Measured, measure
from search.campaigns.unit import Unit
from search.campaigns.unit_work import UnitWork
from search.cluster.messages import Assignment, Failed, GivenUp, Job, Made, Reply, Told
from search.loader import Loader
from search.problem import Problem
from search.rewards.protocol import Handle, Need, Reward, RewardUsage, Scored
from search.sync import run_sync

__all__ = ["Worker"]


class Worker:
    """One policy, or one PRM that has actors of its own. Methods are called from several threads.

    Parameters
    ----------
    shared:
        The campaign; and what puts the PRMs that have actors of their own in place of loaded ones (None:
        there are none).
    policy, prm:
        The one it is there for; the other is "".
    """

    def __init__(
        self, shared: tuple[Job, Callable[[Loader], Loader] | None], policy: str, prm: str = ""
    ) -> None:
        job, around = shared
        if job.setup is not None:
            job.setup()
        self._job = job
        inner = job.loader()
        self._models = inner if around is None else around(inner)
        grid = job.grid
        self._loader = PromptedLoader(self._models, grid.prompt, grid.template, grid.delimiter)
        self._policy, self._prm = policy, prm
        self._alone: asyncio.Lock | None = None

    def tell(self) -> Told:
        """Loads the model, where it is not loaded yet."""
        if self._prm:
            reward = self._loader.reward(self._prm)
            return Told(reward.equal_bits, 256, type(reward).__name__, process=os.getpid())
        engine = self._loader.engine(self._policy)
        return Told(engine.equal_bits, engine.concurrency, engine.backend, process=os.getpid())

    def do(self, asked: Assignment) -> Reply:
        """Do a unit to its end, whatever that is. Raises nothing."""
        return run_sync(self._do(asked))

    def check(self, units: Sequence[Unit]) -> Failed | None:
        """What a plan has to say against running here."""
        try:
            refusal(units, self._loader, self._job.grid.words)
        except Exception as error:
            return Failed.of(error)
        return None

    def measure(self, problems: Sequence[Problem], grid: Grid) -> dict[str, Measured]:
        """The trial of a dry run."""
        return run_sync(measure(problems, grid, self._models))

    def close(self) -> None:
        """Free the models."""
        run_sync(self._loader.close())

    # -- a PRM, for policies in other actors

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        """``Reward.count``."""
        return self._reward.count(question, steps)

    def need(self, question: str, before: Sequence[str], steps: Sequence[str]) -> Need:
        """``Reward.need`` after a prefix."""
        return self._reward.need(Handle(question, tuple(before)), steps)

    def worst(self, question: str, tokens: int, before: int) -> Need:
        """``Reward.worst``."""
        return self._reward.worst(question, tokens, before)

    def fits(self, question: str, steps: Sequence[str]) -> bool:
        """``Reward.fits``."""
        return self._reward.fits(question, steps)

    def extend(self, question: str, before: Sequence[str], steps: Sequence[str]) -> Scored | Failed:
        """``Reward.extend``; the handle stays here, so a prefix is scored again and told as physical work."""
        return run_sync(self._extend(question, tuple(before), steps))

    async def _extend(self, question: str, before: tuple[str, ...], steps: Sequence[str]) -> Scored | Failed:
        reward = self._reward
        try:
            handle, again = reward.open(question), 0
            if before:
                earlier = await reward.extend(handle, before)
                handle, again = earlier.handle, earlier.usage.physical_tokens
            scored = await reward.extend(handle, steps)
        except Exception as error:
            return Failed.of(error)
        used = scored.usage
        usage = RewardUsage(
            used.prompt_tokens, used.logical_tokens, used.physical_tokens + again, used.written_tokens
        )
        return Scored(scored.rewards, Handle(question, (*before, *steps)), usage)

    @property
    def _reward(self) -> Reward:
        return self._loader.reward(self._prm)

    async def _do(self, asked: Assignment) -> Reply:
        meter = Meter(self._job.prices, asked.limit)
        try:
            job = self._job
            work = UnitWork(job.grid, self._loader, job.samplings, job.limits, meter, job.in_flight)
            if self._alone is None:
                self._alone = asyncio.Lock()
            if not work.is_alone(asked.unit):
                return await self._within(work, asked, meter)
            async with self._alone:
                return await self._within(work, asked, meter)
        except Exception as error:
            return Failed.of(error, meter.usages())

    async def _within(self, work: UnitWork, asked: Assignment, meter: Meter) -> Reply:
        started = time.monotonic()
        unit = asked.unit
        if unit.table == "samples":
            doing = asyncio.ensure_future(work.draw(unit))
        elif asked.samples is not None:
            doing = asyncio.ensure_future(work.score(unit, asked.samples))
        else:
            doing = asyncio.ensure_future(work.search(unit))
        spent = asyncio.ensure_future(meter.exhausted.wait())
        try:
            await asyncio.wait({doing, spent}, return_when=asyncio.FIRST_COMPLETED)
            if meter.exhausted.is_set():
                return GivenUp(meter.usages())
            return Made(doing.result(), meter.usages(), time.monotonic() - started)
        finally:
            for task in (doing, spent):
                task.cancel()
            await asyncio.gather(doing, spent, return_exceptions=True)
