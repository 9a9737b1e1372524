"""Doing a unit of work: drawing, scoring or searching, until its rows are there. Logs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

import polars as pl

from search.campaigns.grid import Grid
from search.campaigns.metered import MeteredEngine, MeteredReward
from search.campaigns.prompted import PromptedLoader
from search.campaigns.shared_runs import shared_rows
from search.campaigns.spending import Meter
from search.campaigns.unit import Unit
from search.choice import Choice
from search.engines.confidence import TOP
from search.engines.protocol import Engine, Sampling
from search.errors import ContextError
from search.grading.protocol import Domain
from search.grading.registry import domain
from search.log.records import run_row, sample_rows, table_frame
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem
from search.result import Result
from search.rewards.protocol import Reward
from search.run import run_plan
from search.scoring import score_solution, together
from search.seeds import seed_of
from search.strategies.protocol import Limits, Setting
from search.voting.weighted_limit import WeightedLimit

__all__ = ["GREEDY", "UnitWork", "Work"]

Row = dict[str, object]

#: how greedy answers are drawn
GREEDY = Sampling(temperature=0.0)
#: solutions that a PRM elsewhere is asked about at a time
_SCORED = 256


class Work(Protocol):
    """Who does the units of a campaign. ``changed`` is set when ``has_room`` may answer otherwise."""

    changed: asyncio.Event

    def is_alone(self, unit: Unit) -> bool:
        """Whether nothing may run beside a unit."""

    def has_room(self, unit: Unit) -> bool:
        """Whether a unit could be begun now."""

    def backend(self, unit: Unit) -> str:
        """What computes a unit of draws or runs."""

    async def draw(self, unit: Unit) -> pl.DataFrame:
        """Rows of ``samples``."""

    async def search(self, unit: Unit) -> pl.DataFrame:
        """Rows of ``runs``."""

    async def share(self, unit: Unit, log: SearchLog) -> pl.DataFrame:
        """Rows of ``runs`` that another plan's logged runs hold."""

    async def score(self, unit: Unit, samples: pl.DataFrame) -> pl.DataFrame:
        """Rows of ``scores`` of the samples that a unit is about."""


class UnitWork:
    """Does units of one campaign, many of them at a time where their models allow it.

    Parameters
    ----------
    grid, loader:
        The campaign's.
    samplings:
        Policy -> how its pool samples and runs are drawn.
    limits:
        Per solution.
    meter:
        Counts what is spent.
    in_flight:
        Most solutions of one policy in flight at a time; None: what its engine says, and a quarter more, so
        that it never waits for the next.
    """

    def __init__(
        self,
        grid: Grid,
        loader: PromptedLoader,
        samplings: Mapping[str, Sampling],
        limits: Limits,
        meter: Meter,
        in_flight: int | None = None,
    ) -> None:
        self._grid = grid
        self._loader = loader
        self._samplings = samplings
        self._limits = limits
        self._meter = meter
        self._in_flight = in_flight
        self._limits_of: dict[str, WeightedLimit] = {}
        self._rewards: dict[str, MeteredReward] = {}
        #: set when ``has_room`` may answer otherwise than before
        self.changed = asyncio.Event()

    def is_alone(self, unit: Unit) -> bool:
        """Whether nothing may run beside a unit, or its bits would change."""
        if unit.source is not None:
            return False
        models: list[Engine | Reward] = []
        if unit.table != "scores":
            models.append(self._loader.engine(unit.policy))
        if unit.prm:
            models.append(self._loader.reward(unit.prm))
        return all(model.equal_bits for model in models)

    def has_room(self, unit: Unit) -> bool:
        """Whether the models of a unit could take more work now."""
        return unit.source is not None or self._limit(unit).has_room

    def backend(self, unit: Unit) -> str:
        """What computes a unit of draws or runs."""
        return "" if unit.table == "scores" else self._loader.engine(unit.policy).backend

    async def draw(self, unit: Unit) -> pl.DataFrame:
        """Rows of ``samples``."""
        engine = self._loader.engine(unit.policy)
        sampling = GREEDY if unit.first < 0 else self._samplings[unit.policy]
        setting = Setting(engine, None, sampling, self._limits, self._delimiter(unit), top_logprobs=TOP)

        async def one(problem: Problem) -> list[Row]:
            seed = seed_of(
                self._grid.seed, engine.card.fingerprint, str(sampling), problem.problem_id, unit.first
            )
            grader, name = domain(problem.domain), engine.card.name
            if unit.first >= 0 and grader.asked(problem, seed) is not problem:
                return await each(problem, grader, seed)
            result = await self._run(unit, problem, setting, seed)
            rows = partial(sample_rows, problem, name, sampling, unit.first, seed, result)
            # a grader that waits for its own processes has no place on the loop's thread
            return await asyncio.to_thread(rows) if grader.waits else rows()

        async def each(problem: Problem, grader: Domain, seed: int) -> list[Row]:
            """Every draw is a request of its own: its question differs from that of the others."""
            seeds = [seed_of(seed, "asked", draw) for draw in range(unit.plan.n)]
            single = replace(unit, plan=unit.plan.with_(n=1))
            results = await together(
                [self._run(single, grader.asked(problem, one), setting, one) for one in seeds]
            )
            rows: list[Row] = []
            for draw, (own, result) in enumerate(zip(seeds, results, strict=True)):
                made = partial(
                    sample_rows, problem, engine.card.name, sampling, unit.first + draw, own, result
                )
                rows += await asyncio.to_thread(made) if grader.waits else made()
            return rows

        found = await together([one(problem) for problem in unit.problems])
        return table_frame("samples", [row for rows in found for row in rows])

    async def search(self, unit: Unit) -> pl.DataFrame:
        """Rows of ``runs``."""
        setting = self._setting(unit.policy, unit.prm or None)
        name, sampling = setting.engine.card.name, setting.sampling
        judge = "" if setting.reward is None else setting.reward.card.name
        choice = str(Choice(name, judge or None, unit.plan.tree))

        async def one(problem: Problem) -> Row:
            seed = seed_of(self._grid.seed, choice, problem.problem_id, unit.first)
            result = await self._run(unit, problem, setting, seed)
            row = partial(run_row, problem, name, sampling, judge, unit.first, seed, result)
            return await asyncio.to_thread(row) if domain(problem.domain).waits else row()

        return table_frame("runs", await together([one(problem) for problem in unit.problems]))

    async def share(self, unit: Unit, log: SearchLog) -> pl.DataFrame:
        """Rows of ``runs`` that another plan's logged runs hold."""
        return await shared_rows(unit, log)

    async def score(self, unit: Unit, samples: pl.DataFrame) -> pl.DataFrame:
        """Rows of ``scores`` of the samples that a unit is about."""
        reward = self._reward(unit.prm)
        questions = {problem.problem_id: problem.question for problem in unit.problems}
        keys = ("problem_id", "policy", "sampling", "draw")
        texts = samples.select("problem_id", "text").rows()
        work = {key: self._scored(unit, reward, questions[key[0]], key[1]) for key in dict.fromkeys(texts)}
        scored = dict(zip(work, await together(list(work.values())), strict=True))
        rows, paid = [], set()
        for key, sample in zip(texts, samples.select(keys).iter_rows(named=True), strict=True):
            rewards, prompt, tokens, physical = scored[key]
            rows.append(
                {
                    **sample,
                    "prm": reward.card.name,
                    "step_rewards": list(rewards),
                    "prompt_tokens": prompt,
                    "prm_tokens": tokens,
                    # an equal solution of the same problem was not sent again
                    "physical_prm_tokens": 0 if key in paid else physical,
                }
            )
            paid.add(key)
        return table_frame("scores", rows)

    def _setting(self, policy: str, prm: str | None) -> Setting:
        """What runs a plan of these models."""
        return Setting(
            self._loader.engine(policy),
            None if prm is None else self._reward(prm),
            self._samplings[policy],
            self._limits,
            self._loader.prompting(policy).delimiter,
            words=self._grid.words,
        )

    def _parts(self, plan: Plan, lead: MeteredEngine) -> dict[tuple[str, str | None], Setting]:
        """What runs the parts of a plan, tokens counted; ``lead`` writes for the first of them."""
        engines = {lead.card.name: lead}
        found: dict[tuple[str, str | None], Setting] = {}
        for part in plan.walk():
            setting = self._setting(part.policy, part.prm)
            engine = engines.setdefault(part.policy, MeteredEngine(setting.engine, self._meter))
            found[part.policy, part.prm] = replace(setting, engine=engine)
        return found

    async def _run(self, unit: Unit, problem: Problem, setting: Setting, seed: int) -> Result:
        async with self._inside(unit, unit.plan.n) as give_back:
            is_pool = unit.table == "samples"
            engine = MeteredEngine(setting.engine, self._meter, give_back if is_pool else _nothing)
            try:
                asked = replace(setting, engine=engine, pairs=self._parts(unit.plan, engine))
                return await run_plan(problem, unit.plan, asked, seed=seed)
            except ContextError as error:
                raise ContextError(f"problem {problem.problem_id!r}: {error}") from error

    async def _scored(
        self, unit: Unit, reward: Reward, question: str, text: str
    ) -> tuple[tuple[float, ...], int, int, int]:
        async with self._inside(unit, 1):
            return await score_solution(reward, question, text, self._delimiter(unit))

    @asynccontextmanager
    async def _inside(self, unit: Unit, weight: int) -> AsyncIterator[Callable[[], None]]:
        """Inside the limit of a unit's models. A unit that runs alone goes in whole, as one batch."""
        if self.is_alone(unit):
            yield _nothing
            return
        async with self._limit(unit).enter(weight) as give_back:
            yield give_back

    def _limit(self, unit: Unit) -> WeightedLimit:
        model = unit.prm if unit.table == "scores" else unit.policy
        if model not in self._limits_of:
            if self._in_flight is not None:
                most = self._in_flight
            elif unit.table == "scores":
                most = _SCORED
            else:
                wanted = self._loader.engine(unit.policy).concurrency
                most = wanted + max(wanted // 4, self._grid.block)
            self._limits_of[model] = WeightedLimit(most, self.changed.set)
        return self._limits_of[model]

    def _reward(self, name: str) -> MeteredReward:
        if name not in self._rewards:
            self._rewards[name] = MeteredReward(self._loader.reward(name), self._meter)
        return self._rewards[name]

    def _delimiter(self, unit: Unit) -> str:
        return self._loader.prompting(unit.policy).delimiter


def _nothing() -> None:
    """What there is to give back where no limit was passed."""
