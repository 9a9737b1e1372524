"""A campaign: run a grid on a problem set into a search log, resumable at any moment.

The unit of work is one stage for one fixed group of problems: a block of pool draws, the greedy
draws, the scores of one PRM over one block, or one run of one tree plan. A unit is always run whole
and alone, its problems in flight together, and appended to the log at once, so a resumed campaign
repeats nothing that was logged and its batches are those of an unbroken one.

Units are named by what they are (problems, stage, fingerprints), so the same command finds what is
done, and another grid adds to it. Groups are the parts of the ``problems`` table: new problems form
new groups, old ones stay as they are. A problem that is asked for brings its whole group along.

Seeds. A block of draws is one request: ``seed_of(campaign seed, policy fingerprint, sampling,
problem id, first draw)``, and draw d is its child d - first. Growing a pool adds blocks. Tree runs:
``seed_of(campaign seed, choice, problem id, run)``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from search.choice import Choice
from search.engines.protocol import Sampling
from search.errors import ContextError, FingerprintError, GradingError, GridError, ProblemError
from search.grading.registry import domain
from search.grid import Grid
from search.loader import Loader
from search.log.manifest import prompt_settings
from search.log.records import problem_rows, run_row, sample_rows, table_frame
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan
from search.problem import Problem
from search.problem_set import canonical_json, problems_fingerprint
from search.prompted import PromptedLoader
from search.result import Result
from search.run import run_plan
from search.scoring import score_solution, together
from search.seeds import seed_of
from search.strategies.protocol import Setting
from search.sync import run_sync
from search.unit import Finished, Unit

__all__ = ["Campaign", "Progress", "Unit", "check_problems"]


_GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is: units done (found ones included) of all, the logical tokens generated
    and scored since it was started, seconds since then, and what was done last."""

    done: int
    total: int
    tokens: int
    seconds: float
    stage: str


class Campaign:
    """A grid on a problem set, written into a log.

    Parameters
    ----------
    problems:
        With reference answers; ids are unique.
    grid:
        What to try.
    log:
        Where rows go. Its settings and fingerprints must agree.
    loader:
        The models. Nothing is loaded while there is no work for it. The caller closes it.
    """

    def __init__(self, problems: Sequence[Problem], grid: Grid, log: SearchLog, loader: Loader) -> None:
        self.problems = tuple(problems)
        self.grid = grid
        self.log = log
        self.loader = PromptedLoader(loader, grid.prompt, grid.template, grid.delimiter)
        check_problems(self.problems)

    def run(self, progress: Callable[[Progress], None] | None = None) -> Progress:
        """Do all that is not done yet; return the final count. Works inside a running loop too.

        Raises FingerprintError (the log holds rows of other models or settings, by name), LogError,
        GradingError, ContextError, EngineError, RewardError. Whatever was logged before stays.
        """
        return run_sync(self.run_async(progress))

    async def run_async(self, progress: Callable[[Progress], None] | None = None) -> Progress:
        """``run`` for those who are on a loop already."""
        started = time.monotonic()
        with self.log.writing():
            self._declare()
            self._add_groups()
            units = self.units()
            finished = Finished(self.log, units)
            missing = [unit for unit in units if not finished.holds(unit)]
            done, tokens = len(units) - len(missing), 0
            state = Progress(done, len(units), tokens, 0.0, "resumed" if done else "started")
            if progress is not None:
                progress(state)
            for unit in missing:
                frame = await self._work(unit)
                rows = finished.without_present(unit, frame)
                self.log.append(unit.table, rows, unit=unit.name, backend=self._backend(unit))
                done, tokens = done + 1, tokens + _tokens_of(unit.table, frame)
                state = Progress(done, len(units), tokens, time.monotonic() - started, unit.stage)
                if progress is not None:
                    progress(state)
        return state

    def units(self) -> list[Unit]:
        """All units of work in the order they are done, finished ones included.

        Call ``run`` first on a new log: before that it has no groups.
        """
        groups = self._groups()
        found: list[Unit] = []
        for policy in self.grid.policies:
            found += self._policy_units(policy, groups)
        return found

    # ---- what is to be done

    def _policy_units(self, policy: str, groups: list[tuple[Problem, ...]]) -> Iterator[Unit]:
        plans, needs = self.grid.plans(), self.grid.needs(policy)
        block = Plan.of("majority", n=self.grid.block)
        if needs.greedy:
            for group in groups:
                yield self._unit("samples", group, policy, "", Plan.of("cot"), -1)
        firsts = range(0, self.grid.samples, self.grid.block) if needs.draws[policy] else range(0)
        for first in firsts:
            for group in groups:
                yield self._unit("samples", group, policy, "", block, first)
        for prm in self.grid.prms(policy):
            if (policy, prm) in needs.scored:
                for first in firsts:
                    for group in groups:
                        yield self._unit("scores", group, policy, prm, block, first)
            for plan in plans:
                if plan.must_run:
                    for run in range(self.grid.runs):
                        for group in groups:
                            yield self._unit("runs", group, policy, prm, plan, run)

    def _unit(
        self, table: str, problems: tuple[Problem, ...], policy: str, prm: str, plan: Plan, first: int
    ) -> Unit:
        card = self.loader.policy_card(policy)
        judge = self.loader.prm_card(prm) if prm else None
        parts = [
            *(table, problems_fingerprint(problems), card.name, card.fingerprint, self._settings()),
            *((judge.name, judge.fingerprint) if judge is not None else ("", "")),
            *(str(plan), first),
        ]
        name = hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:32]
        return Unit(table, name, problems, policy, prm, plan, first)

    def _settings(self) -> dict[str, str]:
        limits = self.grid.limits
        return {
            "campaign seed": str(self.grid.seed),
            "sampling": str(self.grid.sampling),
            "limits": f"max_tokens={limits.max_tokens}, max_steps={limits.max_steps}",
            "block": str(self.grid.block),
        }

    def _declare(self) -> None:
        policies = [self.loader.policy_card(name) for name in self.grid.policies]
        judges = dict.fromkeys(pair.prm for pair in self.grid.pair if pair.prm is not None)
        prms = [self.loader.prm_card(name) for name in judges]
        for name, card in zip((*self.grid.policies, *judges), (*policies, *prms), strict=True):
            if card.name != name:
                raise GridError(f"a grid names a model as its card does, got {name!r} for {card.name!r}")
        told = prompt_settings({name: self.loader.prompting(name) for name in self.grid.policies})
        self.log.declare({**self._settings(), **told}, policies=policies, prms=prms)

    def _add_groups(self) -> None:
        known = {problem.problem_id: problem for group in self._logged_groups() for problem in group}
        for problem in self.problems:
            same = known.get(problem.problem_id)
            if same is not None and problems_fingerprint([same]) != problems_fingerprint([problem]):
                raise FingerprintError(
                    f"a problem must be the same as in the log, got another {problem.problem_id!r}"
                )
        new = [problem for problem in self.problems if problem.problem_id not in known]
        for start in range(0, len(new), self.grid.group):
            group = new[start : start + self.grid.group]
            frame = table_frame("problems", problem_rows(group))
            self.log.append("problems", frame, unit=problems_fingerprint(group)[:32])

    def _groups(self) -> list[tuple[Problem, ...]]:
        """Groups that hold a problem of this campaign, in the order of their first one."""
        place = {problem.problem_id: number for number, problem in enumerate(self.problems)}
        firsts = []
        for group in self._logged_groups():
            asked = [place[problem.problem_id] for problem in group if problem.problem_id in place]
            if asked:
                firsts.append((min(asked), group))
        return [group for _, group in sorted(firsts, key=lambda entry: entry[0])]

    def _logged_groups(self) -> list[tuple[Problem, ...]]:
        groups = []
        for unit in sorted(self.log.units("problems")):
            rows = self.log.read_unit("problems", unit).iter_rows(named=True)
            groups.append(tuple(Problem(**{**row, "meta": json.loads(row["meta"])}) for row in rows))
        return groups

    # ---- doing it

    def _delimiter(self, unit: Unit) -> str:
        return self.loader.prompting(unit.policy).delimiter

    def _backend(self, unit: Unit) -> str:
        return "" if unit.table == "scores" else self.loader.engine(unit.policy).backend

    async def _work(self, unit: Unit) -> pl.DataFrame:
        if unit.table == "samples":
            return await self._draw(unit)
        if unit.table == "scores":
            return await self._score(unit)
        return await self._search(unit)

    async def _draw(self, unit: Unit) -> pl.DataFrame:
        engine = self.loader.engine(unit.policy)
        sampling = _GREEDY if unit.first < 0 else self.grid.sampling
        setting = Setting(engine, None, sampling, self.grid.limits, self._delimiter(unit))
        seeds = [
            seed_of(self.grid.seed, engine.card.fingerprint, str(sampling), problem.problem_id, unit.first)
            for problem in unit.problems
        ]
        results = await self._run_all(unit, setting, seeds)
        rows = [
            row
            for problem, seed, result in zip(unit.problems, seeds, results, strict=True)
            for row in sample_rows(problem, engine.card.name, sampling, unit.first, seed, result)
        ]
        return table_frame("samples", rows)

    async def _search(self, unit: Unit) -> pl.DataFrame:
        engine, reward = self.loader.engine(unit.policy), self.loader.reward(unit.prm)
        setting = Setting(engine, reward, self.grid.sampling, self.grid.limits, self._delimiter(unit))
        choice = str(Choice(engine.card.name, reward.card.name, unit.plan))
        seeds = [seed_of(self.grid.seed, choice, problem.problem_id, unit.first) for problem in unit.problems]
        results = await self._run_all(unit, setting, seeds)
        rows = [
            run_row(problem, engine.card.name, setting.sampling, reward.card.name, unit.first, seed, result)
            for problem, seed, result in zip(unit.problems, seeds, results, strict=True)
        ]
        return table_frame("runs", rows)

    async def _run_all(self, unit: Unit, setting: Setting, seeds: Sequence[int]) -> list[Result]:
        async def one(problem: Problem, seed: int) -> Result:
            try:
                return await run_plan(problem, unit.plan, setting, seed=seed)
            except ContextError as error:
                raise ContextError(f"problem {problem.problem_id!r}: {error}") from error

        return await together(
            [one(problem, seed) for problem, seed in zip(unit.problems, seeds, strict=True)]
        )

    async def _score(self, unit: Unit) -> pl.DataFrame:
        reward = self.loader.reward(unit.prm)
        questions = {problem.problem_id: problem.question for problem in unit.problems}
        samples = self._samples(unit)
        keys = ("problem_id", "policy", "sampling", "draw")
        texts = samples.select("problem_id", "text").rows()
        delimiter = self._delimiter(unit)
        work = {
            key: score_solution(reward, questions[key[0]], key[1], delimiter) for key in dict.fromkeys(texts)
        }
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

    def _samples(self, unit: Unit) -> pl.DataFrame:
        """The block of draws that a unit of scores is about."""
        drawn = self._unit("samples", unit.problems, unit.policy, "", unit.plan, unit.first)
        columns = ("problem_id", "policy", "sampling", "draw", "text")
        if self.log.has("samples", drawn.name):
            rows = self.log.read_unit("samples", drawn.name)
            if rows.height == len(unit.problems) * unit.plan.n:
                return rows.select(columns)
        wanted = pl.col("draw").is_between(unit.first, unit.first + unit.plan.n - 1)
        ids = [problem.problem_id for problem in unit.problems]
        query = self.log.scan("samples").filter(
            pl.col("policy") == unit.policy, wanted, pl.col("problem_id").is_in(ids)
        )
        return query.select(columns).sort(TABLES["samples"].key).collect()


def _tokens_of(table: str, frame: pl.DataFrame) -> int:
    columns = {"samples": ("tokens",), "scores": ("prm_tokens",), "runs": ("policy_tokens", "prm_tokens")}
    return sum(int(frame[name].cast(pl.Int64).sum()) for name in columns[table])


def check_problems(problems: Sequence[Problem]) -> None:
    """Everything that would otherwise stop a campaign halfway."""
    if not problems:
        raise ProblemError("a campaign needs at least one problem, got none")
    seen: set[str] = set()
    for problem in problems:
        if problem.problem_id in seen:
            raise ProblemError(f"a problem id is given once, got {problem.problem_id!r} twice")
        seen.add(problem.problem_id)
        if problem.answer is None:
            raise ProblemError(
                f"a campaign grades, so a problem needs an answer, got none for {problem.problem_id!r}"
            )
        try:
            domain(problem.domain).grade(problem, None)
        except GradingError as error:
            raise GradingError(f"problem {problem.problem_id!r}: {error}") from error
