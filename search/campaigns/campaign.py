"""A campaign: run a grid on a problem set into a search log, resumable at any moment.

The unit of work is one stage for one fixed group of problems: a block of pool draws, the greedy
draws, the scores of one PRM over one block, or one run of one tree plan. A unit is always run whole, its
problems in flight together, and appended to the log at once, so a resumed campaign repeats nothing that was
logged. Where models promise equal bits it runs alone, so that its batches are those of an unbroken campaign;
elsewhere many units are in flight (``search.campaigns.scheduler``), so that no model waits for the longest
solution of a unit.

Units are named by what they are (problems, stage, fingerprints), so the same command finds what is
done, and another grid adds to it. Groups are the parts of the ``problems`` table: new problems form
new groups in the order of their ids, old ones stay as they are. A problem that is asked for brings its whole
group along.

Seeds. A block of draws is one request: ``seed_of(campaign seed, policy fingerprint, sampling,
problem id, first draw)``, and draw d is its child d - first. Growing a pool adds blocks; one that was cut
short is asked for again whole, and its draws that are there already stay as they are. Tree runs:
``seed_of(campaign seed, choice, problem id, run)``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from search.budget import Prices
from search.campaigns.expectation import Expectation
from search.campaigns.grid import Grid
from search.campaigns.prompted import PromptedLoader
from search.campaigns.scheduler import run_units
from search.campaigns.shared_runs import with_sources
from search.campaigns.spending import Meter, SpendLimit
from search.campaigns.unit import Finished, Unit, groups_of
from search.campaigns.unit_work import UnitWork, Work
from search.engines.protocol import Sampling
from search.errors import FingerprintError, GradingError, GridError, PlanError, ProblemError
from search.grading.registry import domain
from search.loader import Loader
from search.log.manifest import prompt_settings, sampling_settings, words_settings
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan
from search.problem import Problem
from search.problem_sets.problem_set import canonical_json, problems_fingerprint
from search.strategies.protocol import Limits, Setting, Strategy
from search.strategies.words import words_of
from search.sync import run_sync

__all__ = ["Campaign", "Progress", "Unit", "check_problems", "refusal"]


async def _a_second() -> None:
    await asyncio.sleep(1.0)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is.

    ``done`` of ``total`` units, found ones included. ``tokens`` and ``usd`` (None without prices) since it
    was started: prompts, what is generated, what is scored. ``seconds`` since then; ``left``: seconds that
    the rest will take, None where nothing is known. ``stage``: what was done last. ``is_stopped``: whether a
    limit on what is spent ended it before all was done.
    """

    done: int
    total: int
    tokens: int
    seconds: float
    stage: str
    usd: float | None = None
    left: float | None = None
    is_stopped: bool = False


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
    in_flight:
        Most solutions of one policy in flight at a time, where units run side by side; None: a quarter more
        than its engine works on at a time.
    prices:
        Model's name -> prices.
    limit:
        What one call of ``run`` may spend at most. It ends before that is passed: units that would pass it
        are not started, or are given up.
    tick:
        What is awaited between two reports while units are at work; each unit that is done is one more.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        grid: Grid,
        log: SearchLog,
        loader: Loader,
        *,
        in_flight: int | None = None,
        prices: Mapping[str, Prices] = MappingProxyType({}),
        limit: SpendLimit | None = None,
        tick: Callable[[], Awaitable[object]] = _a_second,
    ) -> None:
        self.problems = tuple(problems)
        self.grid = grid
        self.log = log
        self.loader = PromptedLoader(loader, grid.prompt, grid.template, grid.delimiter)
        self._in_flight = in_flight
        self._prices = prices
        self._limit = limit
        self.tick = tick
        check_problems(self.problems)
        if in_flight is not None and in_flight < 1:
            raise GridError(f"solutions in flight must be at least 1, got {in_flight}")

    def run(self, progress: Callable[[Progress], None] | None = None) -> Progress:
        """Do all that is not done yet; return the final count. Works inside a running loop too.

        Raises FingerprintError (the log holds rows of other models or settings, by name), LogError,
        GradingError, ContextError, EngineError, RewardError. Whatever was logged before stays.
        """
        return run_sync(self.run_async(progress))

    async def run_async(self, progress: Callable[[Progress], None] | None = None) -> Progress:
        """``run`` for those who are on a loop already."""
        with self.log.writing():
            self._declare()
            self._add_groups()
            units = self.units()
            finished = Finished(self.log, units)
            missing = with_sources([unit for unit in units if not finished.holds(unit)], self.log)
            await self._check(missing)
            meter = Meter(self._prices, self._limit)
            limits = self.limits
            expected = Expectation(meter, self.log, limits.max_tokens, missing)
            work = self._work(meter, expected)
            running = _Running(self, work, finished, missing, len(units), meter, expected, progress)
            return await running.run()

    def _work(self, meter: Meter, expected: Expectation) -> Work:
        """What does the units of one run."""
        return UnitWork(self.grid, self.loader, self._samplings(), self.limits, meter, self._in_flight)

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
        needs = self.grid.needs(policy)
        blocks = [(first, Plan.of("majority", n=draws)) for first, draws in self.grid.blocks()]
        if needs.greedy:
            for group in groups:
                yield self._unit("samples", group, policy, "", Plan.of("cot"), -1)
        if not needs.draws[policy]:
            blocks = []
        for first, block in blocks:
            for group in groups:
                yield self._unit("samples", group, policy, "", block, first)
        for prm in self.grid.prms(policy):
            if (policy, prm) in needs.scored:
                for first, block in blocks:
                    for group in groups:
                        yield self._unit("scores", group, policy, prm, block, first)
            yield from self._runs(policy, prm, groups)
        yield from self._runs(policy, None, groups)

    def _runs(self, policy: str, prm: str | None, groups: list[tuple[Problem, ...]]) -> Iterator[Unit]:
        """The units of what must be run with these models."""
        for choice in self.grid.choices():
            if choice.plan.must_run and (choice.policy, choice.prm) == (policy, prm):
                for run in range(self.grid.runs):
                    for group in groups:
                        yield self._unit("runs", group, policy, prm or "", choice.plan, run)

    def _unit(
        self, table: str, problems: tuple[Problem, ...], policy: str, prm: str, plan: Plan, first: int
    ) -> Unit:
        card = self.loader.policy_card(policy)
        judge = self.loader.prm_card(prm) if prm else None
        parts = [
            *(table, problems_fingerprint(problems), card.name, card.fingerprint, self._settings()),
            *((judge.name, judge.fingerprint) if judge is not None else ("", "")),
            *(str(plan), first),
            *([{name: words} for name, words in words_of([plan], self.grid.words).items()]),
        ]
        name = hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:32]
        return Unit(table, name, problems, policy, prm, plan, first)

    def _samplings(self) -> dict[str, Sampling]:
        """How each policy's pool samples and runs are drawn."""
        return {
            name: self.grid.sampling_of(self.loader.generation_defaults(name)) for name in self.grid.policies
        }

    @property
    def limits(self) -> Limits:
        """Per solution: the grid's, or the policies' own."""
        return self.grid.limits_of([self.loader.generation_defaults(name) for name in self.grid.policies])

    def _settings(self) -> dict[str, str]:
        limits = self.limits
        return {
            "campaign seed": str(self.grid.seed),
            **sampling_settings({name: str(one) for name, one in self._samplings().items()}),
            "limits": f"max_tokens={limits.max_tokens}, max_steps={limits.max_steps}",
            "block": str(self.grid.block),
        }

    async def _check(self, missing: Sequence[Unit]) -> None:
        """Whatever plans have to say against running here is said before anything is drawn (PlanError)."""
        await asyncio.to_thread(refusal, missing, self.loader, self.grid.words)

    def _declare(self) -> None:
        policies = [self.loader.policy_card(name) for name in self.grid.policies]
        judges = dict.fromkeys(pair.prm for pair in self.grid.pair if pair.prm is not None)
        prms = [self.loader.prm_card(name) for name in judges]
        for name, card in zip((*self.grid.policies, *judges), (*policies, *prms), strict=True):
            if card.name != name:
                raise GridError(f"a grid names a model as its card does, got {name!r} for {card.name!r}")
        told = prompt_settings({name: self.loader.prompting(name) for name in self.grid.policies})
        said = words_settings(words_of(self.grid.plans(), self.grid.words))
        self.log.declare({**self._settings(), **told, **said}, policies=policies, prms=prms)

    def _add_groups(self) -> None:
        known = {problem.problem_id: problem for group in self._logged_groups() for problem in group}
        for problem in self.problems:
            same = known.get(problem.problem_id)
            if same is not None and problems_fingerprint([same]) != problems_fingerprint([problem]):
                raise FingerprintError(
                    f"a problem must be the same as in the log, got another {problem.problem_id!r}"
                )
        new = [problem for problem in self.problems if problem.problem_id not in known]
        for group in groups_of(new, self.grid.group):
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

    def source_unit(self, unit: Unit) -> Unit | None:
        """The unit whose runs another one shares."""
        if unit.source is None:
            return None
        return self._unit("runs", unit.problems, unit.policy, unit.prm, unit.source, unit.first)

    def samples_unit(self, unit: Unit) -> Unit:
        """The unit that draws what a unit of scores is about."""
        return self._unit("samples", unit.problems, unit.policy, "", unit.plan, unit.first)

    def samples_of(self, unit: Unit) -> pl.DataFrame:
        """The block of draws that a unit of scores is about."""
        drawn = self.samples_unit(unit)
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


def refusal(units: Sequence[Unit], loader: Loader, words: Mapping[str, str]) -> None:
    """Raises PlanError with what the plan of a run has to say against running with these models."""
    for unit in (one for one in units if one.table == "runs"):
        for plan in (unit.plan, *(part.plan for part in unit.plan.walk())):
            if type(plan.described).refuses is Strategy.refuses:
                continue
            setting = Setting(loader.engine(unit.policy), words=words)
            for problem in unit.problems:
                fault = plan.described.refuses(problem, setting)
                if fault is not None:
                    raise PlanError(f"problem {problem.problem_id!r}: {fault}")


class _Running:
    """One run of a campaign: counts, reports and logs what units bring."""

    def __init__(
        self,
        campaign: Campaign,
        work: Work,
        finished: Finished,
        missing: Sequence[Unit],
        total: int,
        meter: Meter,
        expectation: Expectation,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._campaign = campaign
        self._work = work
        self._finished = finished
        self._missing = missing
        self._total = total
        self._meter = meter
        self._progress = progress
        self._done = total - len(missing)
        self._stage = "resumed" if self._done else "started"
        self._expectation = expectation
        self._started = time.monotonic()
        self._needs: dict[str, str | None] = {}

    async def run(self) -> Progress:
        self._report()
        ticking = asyncio.ensure_future(self._tick())
        try:
            await run_units(
                self._missing,
                self._do,
                self,
                changed=self._work.changed,
                stopped=self._meter.exhausted,
            )
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        return self._state(is_stopped=self._done < self._total)

    # -- what the scheduler asks

    def is_alone(self, unit: Unit) -> bool:
        return self._work.is_alone(unit)

    def has_room(self, unit: Unit) -> bool:
        return self._work.has_room(unit)

    def needs(self, unit: Unit) -> str | None:
        if unit.name not in self._needs:
            source = self._campaign.source_unit(unit)
            if source is None and unit.table == "scores":
                source = self._campaign.samples_unit(unit)
            self._needs[unit.name] = None if source is None else source.name
        return self._needs[unit.name]

    def may_start(self, unit: Unit, running: Sequence[Unit]) -> bool:
        return self._expectation.fits(unit, running)

    # -- doing it

    async def _do(self, unit: Unit) -> None:
        if self._campaign.log.has(unit.table, unit.name):  # another process writes the same log
            self._count(unit)
            return
        if unit.table == "samples":
            frame = await self._work.draw(unit)
        elif unit.table == "scores":
            frame = await self._work.score(unit, self._campaign.samples_of(unit))
        elif unit.source is not None:
            frame = await self._work.share(unit, self._campaign.log)
        else:
            frame = await self._work.search(unit)
        rows = self._finished.without_present(unit, frame)
        log = self._campaign.log
        log.append(unit.table, rows, unit=unit.name, backend=self._backend(unit))
        self._count(unit)

    def _count(self, unit: Unit) -> None:
        self._expectation.done(unit)
        self._done, self._stage = self._done + 1, unit.stage
        self._report()

    def _backend(self, unit: Unit) -> str:
        """What computed the rows of a unit; "" where those that it shares stand under another name."""
        log, source = self._campaign.log, self._campaign.source_unit(unit)
        if source is None:
            return self._work.backend(unit)
        return log.backend("runs", source.name) if log.has("runs", source.name) else ""

    async def _tick(self) -> None:
        while True:
            await self._campaign.tick()
            self._report()

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self._state())

    def _state(self, *, is_stopped: bool = False) -> Progress:
        seconds = time.monotonic() - self._started
        left = self._expectation.seconds_left(seconds)
        return Progress(
            self._done,
            self._total,
            self._meter.tokens,
            seconds,
            self._stage,
            self._meter.usd,
            left,
            is_stopped,
        )


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
