"""Solves a question as a planner advises: probes, decides again, runs the chosen plan, answers.

It grades nothing. What was spent on a probe stays spent, and its samples stay candidates of every plan of
the same policy. Hard caps are kept by the ledger whatever the planner expects. ``planner.request_run``
does the work and tells a listener about it (``planner.events``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from planner.availability_filter import AvailabilityFilter
from planner.decision_filter import DecisionFilter
from planner.domains import PLAIN, Assigned, assign
from planner.events import Decided, EndReason, Left, Listener, Lost, Probed
from planner.labels import Probe
from planner.objective import HardCap, Objective
from planner.planner import Planner
from planner.recommendation import Recommendation
from planner.request_run import RequestRun, Settings
from planner.settings import plainly
from planner.stopping import EarlyStopping
from search.budget import UNLIMITED, Budget, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.errors import EngineError, RewardError
from search.grading.registry import domain as grading
from search.grouping import GRACE, grouped
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.sync import run_sync

__all__ = ["Settings", "Solution", "StageRecord", "perform", "solve", "solve_sync"]


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One decision: what was known, what was advised, and what following it cost until the next one."""

    probe: Probe
    advice: Recommendation
    spend: Spend


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer to one question, how it came about, and what was expected and spent.

    ``accuracy``, ``tokens`` and ``flops`` are what the last decision expected, with everything spent
    before it counted in; ``spend`` is what it took, ``usd`` in money where there are prices. ``chosen``
    indexes ``candidates``. ``ended`` says why drawing ended early, ``lost`` which models failed on the way.
    ``domain`` is what read the answers; ``reason`` says why nothing was planned, "" where something was.
    """

    answer: str | None
    outcome: Outcome
    choice: Choice
    candidates: tuple[Candidate, ...]
    stages: tuple[StageRecord, ...]
    accuracy: float
    tokens: float
    flops: float
    spend: Spend
    chosen: int | None = None
    usd: float | None = None
    ended: EndReason | None = None
    lost: tuple[str, ...] = ()
    domain: str = PLAIN
    reason: str = ""


async def solve(
    question: str | Problem,
    planner: Planner,
    settings: Settings,
    *,
    objective: Objective,
    cap: HardCap | None = None,
    budget: Budget | None = None,
    prices: Prices | None = None,
    domain: str | None = None,
    seed: int = 0,
    voteable: bool = True,
    abstain_below: float = 0.0,
    allow_foreign: bool = False,
    decision_filter: DecisionFilter | None = None,
    early_stopping: EarlyStopping | None = None,
    listener: Listener | None = None,
) -> Solution:
    """Answer a question.

    Parameters
    ----------
    question:
        A text, with its ``domain`` (which reads answers), or a problem.
    domain:
        Of a text. None: the planner says it, and a text that is foreign to it gets one plain answer, with
        the reason in ``Solution.reason``. A problem brings its own.
    voteable:
        False where answers cannot be compared: then there is one plain answer.
    settings:
        Must hold every policy x PRM pair that the planner may choose; plans without a PRM run in the
        setting (policy, None) or, without one, in any setting of the policy.
    budget, prices:
        Hard caps beside those of ``objective`` and ``cap``: a deadline, money.
    seed:
        Determines every draw where the engine promises so.
    abstain_below:
        Stop where no affordable plan is expected to be right this often; the answer is then the vote over
        what a probe showed, if there was one.
    decision_filter:
        Filters decisions (``planner.decision_filter``).
    early_stopping:
        When drawing for the final vote stops early. None draws all, so that a run repeats exactly.
    listener:
        Hears of everything as it happens, and of ``Left`` where this raises.

    A PRM that fails on the way ends the drawing for it, and is left out of what follows. A policy that fails
    is asked again where that charges nothing twice, within the deadline. At the deadline, and when the policy
    stays away, the best answer so far is returned (``Solution.ended``). Raises ArtefactError for models that
    the planner was not learned from or a pair that is missing, BudgetError when not even the cheapest choice
    fits a cap, EngineError when the policy fails before any answer can be read.
    """
    assigned, problem = _assigned(planner, question, domain, voteable)
    planner.check(_cards(settings), allow_foreign=allow_foreign)
    if assigned.reason:  # what the policies are asked with was made for the planner's own questions
        settings = plainly(settings)
    limits = [
        limit for limit in (objective if isinstance(objective, HardCap) else None, cap) if limit is not None
    ]
    whole = _budget(limits, budget)
    run = RequestRun(
        problem, settings, whole, seed, prices=prices, listener=listener, early_stopping=early_stopping
    )
    asked = _Asked(problem, objective, cap, assigned.planned, abstain_below, decision_filter)
    try:
        solution = await _Staged(run, planner, asked).solve()
        return replace(solution, domain=problem.domain, reason=assigned.reason)
    except BaseException:
        run.tell(Left(run.spend))
        raise


def _assigned(
    planner: Planner, question: str | Problem, domain: str | None, voteable: bool
) -> tuple[Assigned, Problem]:
    if isinstance(question, Problem):
        return Assigned(question.domain, voteable), question
    assigned = assign(planner, question, domain) if voteable else Assigned(domain or PLAIN, False)
    return assigned, Problem("request", "", assigned.domain, question)


async def perform(
    question: str | Problem,
    choice: Choice,
    settings: Settings,
    *,
    budget: Budget = UNLIMITED,
    prices: Prices | None = None,
    domain: str = "text",
    seed: int = 0,
    early_stopping: EarlyStopping | None = None,
    listener: Listener | None = None,
) -> Solution:
    """Answer a question by a choice that is given, with no planner: nothing is expected (NaN).

    Parameters and errors as ``solve`` has them; a PRM that fails raises RewardError.
    """
    problem = question if isinstance(question, Problem) else Problem("request", "", domain, question)
    run = RequestRun(
        problem, settings, budget, seed, prices=prices, listener=listener, early_stopping=early_stopping
    )
    try:
        result = await run.run(choice, Probe(choice.policy, 0))
    except BaseException:
        run.tell(Left(run.spend))
        raise
    unknown = float("nan")
    solution = _solution(run, result, choice, (), (unknown, unknown, unknown), ())
    return replace(solution, domain=problem.domain)


def solve_sync(
    question: str | Problem,
    planner: Planner,
    settings: Settings,
    *,
    objective: Objective,
    cap: HardCap | None = None,
    domain: str | None = None,
    seed: int = 0,
    voteable: bool = True,
    abstain_below: float = 0.0,
    allow_foreign: bool = False,
) -> Solution:
    """``solve`` for callers without a loop; it also works inside a running one (a notebook)."""
    return run_sync(
        solve(
            question,
            planner,
            settings,
            objective=objective,
            cap=cap,
            domain=domain,
            seed=seed,
            voteable=voteable,
            abstain_below=abstain_below,
            allow_foreign=allow_foreign,
        )
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks for."""

    problem: Problem
    objective: Objective
    cap: HardCap | None
    voteable: bool
    abstain_below: float
    decision_filter: DecisionFilter | None


class _Staged:
    """The decisions of one request, in stages."""

    def __init__(self, run: RequestRun, planner: Planner, asked: _Asked) -> None:
        self._run = run
        self._planner = planner
        self._asked = asked
        self._probe = Probe(planner.stages[0].probe.policy, 0)
        self._before = Spend()
        self._records: list[StageRecord] = []
        self._lost: tuple[str, ...] = ()
        self._decision_filter = asked.decision_filter

    async def solve(self) -> Solution:
        """Probe and decide until a decision is final, then follow it."""
        advice = self._first()
        while True:
            try:
                if advice.abstain:
                    self._record(advice)
                    return self._abstained(advice)
                if advice.probe is None:
                    result = await self._run.run(advice.choice, self._probe)
                    self._record(advice)
                    return self._done(result, advice)
                probe = advice.probe
                candidates = await self._run.probe(probe)
            except EngineError:
                raise  # a server's failure is a RewardError too, and this one was the policy's
            except RewardError as error:
                advice = await self._without_prm(advice, error)
                continue
            paid = self._before
            self._record(advice)
            if len(candidates) < probe.samples:
                # fewer finished than asked for, since the cap, the time or the policy ended: they must do
                return self._cut_short(probe, advice, paid)
            self._probe = probe
            self._run.tell(Probed(probe, len(candidates), self._run.spend))
            # others run while a decision is made on the loop's own thread
            await asyncio.sleep(0)
            advice = await self._next(candidates)

    # ---- deciding

    def _first(self) -> Recommendation:
        asked = self._asked
        objective = asked.objective
        advice = self._planner.recommend(
            asked.problem.question,
            objective=_less(objective, self._before) if isinstance(objective, HardCap) else objective,
            cap=None if asked.cap is None else _less(asked.cap, self._before),
            domain=asked.problem.domain,
            voteable=asked.voteable,
            abstain_below=asked.abstain_below,
            decision_filter=self._decision_filter,
        )
        return self._announce(advice)

    async def _next(self, candidates: Sequence[Candidate]) -> Recommendation:
        asked, reader = self._asked, grading(self._asked.problem.domain)
        answers = [candidate.answer for candidate in candidates]
        seconds = max(self._run.seconds_left, GRACE)
        groups = await grouped(asked.problem, reader, answers, seconds=seconds)
        advice = self._planner.decide(
            asked.problem.question,
            self._probe,
            candidates,
            objective=asked.objective,
            cap=asked.cap,
            spent=self._run.spend,
            groups=groups,
            domain=asked.problem.domain,
            abstain_below=asked.abstain_below,
            decision_filter=self._decision_filter,
        )
        return self._announce(advice)

    def _announce(self, advice: Recommendation) -> Recommendation:
        self._run.tell(Decided(len(self._records), self._probe, advice, self._run.spend))
        return advice

    async def _without_prm(self, advice: Recommendation, error: RewardError) -> Recommendation:
        """Decide again as if the PRM that failed were not there. The last probe's samples stay; what was
        drawn for the PRM since then is paid for and gone."""
        prm = advice.choice.prm if advice.probe is None else advice.probe.prm
        if prm is None or prm in self._lost:
            raise error
        self._lost = (*self._lost, prm)
        self._record(advice)
        self._run.tell(Lost(prm, self._run.spend))
        self._decision_filter = AvailabilityFilter(prms=self._lost, then=self._asked.decision_filter)
        if self._probe.samples:
            return await self._next(self._run.candidates)
        return self._first()

    def _record(self, advice: Recommendation) -> None:
        spent = self._run.spend
        self._records.append(StageRecord(self._probe, advice, _minus(spent, self._before)))
        self._before = spent

    # ---- answering

    def _done(self, result: Result, advice: Recommendation) -> Solution:
        run, last = self._run, self._records[-1]
        before = _minus(self._before, last.spend)
        ran = advice.choice
        if result is run.last:  # the answer so far
            ran = Choice(self._probe.policy, self._probe.prm, result.plan)
        expected = advice.accuracy, before.tokens + advice.tokens, before.flops + advice.flops
        return _solution(run, result, ran, self._records, expected, self._lost)

    def _cut_short(self, probe: Probe, advice: Recommendation, paid: Spend) -> Solution:
        """The answer of a probe that the budget, the deadline or the policy's failure cut short."""
        assert self._run.last is not None
        choice = Choice(probe.policy, probe.prm, self._run.last.plan)
        expected = advice.accuracy, paid.tokens + advice.tokens, paid.flops + advice.flops
        return _solution(self._run, self._run.last, choice, self._records, expected, self._lost)

    def _abstained(self, advice: Recommendation) -> Solution:
        """What there is where nothing more is worth trying."""
        run, spent = self._run, self._run.spend
        last = run.last
        choice = advice.choice if last is None else Choice(self._probe.policy, self._probe.prm, last.plan)
        return Solution(
            None if last is None else last.answer,
            Outcome.ABSTAINED,
            choice,
            run.candidates,
            tuple(self._records),
            advice.accuracy,
            float(spent.tokens),
            spent.flops,
            spent,
            None if last is None else last.chosen,
            run.usd,
            run.ended,
            _gone(run, self._lost),
        )


def _solution(
    run: RequestRun,
    result: Result,
    choice: Choice,
    records: Sequence[StageRecord],
    expected: tuple[float, float, float],
    lost: tuple[str, ...],
) -> Solution:
    """``expected``: accuracy, tokens and FLOPs."""
    return Solution(
        result.answer,
        result.outcome,
        choice,
        result.candidates,
        tuple(records),
        *expected,
        run.spend,
        result.chosen,
        run.usd,
        run.ended,
        _gone(run, lost),
    )


def _gone(run: RequestRun, prms: tuple[str, ...]) -> tuple[str, ...]:
    """The models that failed: these PRMs, and the policy."""
    return prms if run.failed is None else (*prms, run.failed)


def _budget(limits: Sequence[HardCap], beside: Budget | None) -> Budget:
    """The tightest of all caps."""
    tokens = [limit.tokens for limit in limits if limit.tokens is not None]
    flops = [limit.flops for limit in limits if limit.flops is not None]
    if beside is not None:
        tokens += [] if beside.tokens is None else [beside.tokens]
        flops += [] if beside.flops is None else [beside.flops]
    seconds = None if beside is None else beside.seconds
    usd = None if beside is None else beside.usd
    if not tokens and not flops and seconds is None and usd is None:
        return UNLIMITED
    return Budget(min(tokens, default=None), min(flops, default=None), seconds, usd)


def _less(cap: HardCap, spent: Spend) -> HardCap:
    """What is left of a cap."""
    return HardCap(
        None if cap.tokens is None else max(0, cap.tokens - spent.tokens),
        None if cap.flops is None else max(0.0, cap.flops - spent.flops),
    )


def _minus(after: Spend, before: Spend) -> Spend:
    return Spend(
        after.policy_tokens - before.policy_tokens,
        after.prm_tokens - before.prm_tokens,
        after.physical_policy_tokens - before.physical_policy_tokens,
        after.physical_prm_tokens - before.physical_prm_tokens,
        after.flops - before.flops,
        after.seconds - before.seconds,
    )


def _cards(settings: Settings) -> list[ModelCard]:
    cards = [setting.engine.card for setting in settings.values()]
    return [*cards, *(setting.reward.card for setting in settings.values() if setting.reward is not None)]
