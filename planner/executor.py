"""Solves a question as a planner advises: looks, decides again, runs the chosen plan, answers.

It grades nothing. What was spent on a look stays spent, and its samples stay candidates of every plan of
the same policy. Hard caps are kept by the ledger whatever the planner expects. ``planner.desk`` does the
work, and a listener hears of it as it goes (``planner.events``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from planner.barring import Barring
from planner.desk import Desk, Settings
from planner.events import Decided, Left, Listener, Looked, Lost, Why
from planner.labels import Look
from planner.objective import HardCap, Objective
from planner.planner import Planner
from planner.recommendation import Recommendation
from planner.steering import Steering
from planner.stopping import Patience
from search.budget import UNLIMITED, Budget, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.errors import EngineError, RewardError
from search.grading.aside import aside
from search.grading.registry import domain as grading
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.sync import run_sync
from search.votes import group

__all__ = ["Settings", "Solution", "StageRecord", "perform", "solve", "solve_sync"]


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One decision: what was known, what was advised, and what following it cost until the next one."""

    look: Look
    advice: Recommendation
    spend: Spend


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer to one question, how it came about, and what was expected and spent.

    ``accuracy``, ``tokens`` and ``flops`` are what the last decision promised, with everything spent
    before it counted in; ``spend`` is what it took, ``usd`` in money where there are prices. ``chosen``
    indexes ``candidates``. ``ended`` says why drawing ended early, ``lost`` which models failed on the way.
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
    ended: Why | None = None
    lost: tuple[str, ...] = ()


async def solve(
    question: str | Problem,
    planner: Planner,
    settings: Settings,
    *,
    objective: Objective,
    cap: HardCap | None = None,
    budget: Budget | None = None,
    prices: Prices | None = None,
    domain: str = "text",
    seed: int = 0,
    voteable: bool = True,
    abstain_below: float = 0.0,
    allow_foreign: bool = False,
    steering: Steering | None = None,
    patience: Patience | None = None,
    listener: Listener | None = None,
) -> Solution:
    """Answer a question.

    Parameters
    ----------
    question:
        A text, with its ``domain`` (which reads answers), or a problem.
    settings:
        Must hold every policy x PRM pair that the planner may choose; plans without a PRM run in the
        setting (policy, None) or, without one, in any setting of the policy.
    budget, prices:
        Hard caps beside those of ``objective`` and ``cap``: a deadline, money.
    seed:
        Determines every draw where the engine promises so.
    abstain_below:
        Stop where no affordable plan is expected to be right this often; the answer is then the vote over
        what a look showed, if there was one.
    steering:
        Bends decisions (``planner.steering``).
    patience:
        When the drawing of the final vote ends early. None draws all, so that a run repeats exactly.
    listener:
        Hears of everything as it happens, and of ``Left`` where this raises.

    A PRM that fails on the way ends the drawing for it, and is left out of what follows. A policy that fails
    is asked again where that charges nothing twice, within the deadline. At the deadline, and when the policy
    stays away, the best answer so far is returned (``Solution.ended``). Raises ArtefactError for models that
    the planner was not learned from or a pair that is missing, BudgetError when not even the cheapest choice
    fits a cap, EngineError when the policy fails before any answer can be read.
    """
    problem = question if isinstance(question, Problem) else Problem("request", "", domain, question)
    planner.check(_cards(settings), allow_foreign=allow_foreign)
    limits = [
        limit for limit in (objective if isinstance(objective, HardCap) else None, cap) if limit is not None
    ]
    whole = _budget(limits, budget)
    desk = Desk(problem, settings, whole, seed, prices=prices, listener=listener, patience=patience)
    asked = _Asked(problem, objective, cap, voteable, abstain_below, steering)
    try:
        return await _Staged(desk, planner, asked).solve()
    except BaseException:
        desk.tell(Left(desk.spend))
        raise


async def perform(
    question: str | Problem,
    choice: Choice,
    settings: Settings,
    *,
    budget: Budget = UNLIMITED,
    prices: Prices | None = None,
    domain: str = "text",
    seed: int = 0,
    patience: Patience | None = None,
    listener: Listener | None = None,
) -> Solution:
    """Answer a question by a choice that is given, with no planner: nothing is promised (NaN).

    Parameters and errors as ``solve`` has them; a PRM that fails raises RewardError.
    """
    problem = question if isinstance(question, Problem) else Problem("request", "", domain, question)
    desk = Desk(problem, settings, budget, seed, prices=prices, listener=listener, patience=patience)
    try:
        result = await desk.run(choice, Look(choice.policy, 0))
    except BaseException:
        desk.tell(Left(desk.spend))
        raise
    unknown = float("nan")
    return _solution(desk, result, choice, (), (unknown, unknown, unknown), ())


def solve_sync(
    question: str | Problem,
    planner: Planner,
    settings: Settings,
    *,
    objective: Objective,
    cap: HardCap | None = None,
    domain: str = "text",
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
    steering: Steering | None


class _Staged:
    """The decisions of one request, in stages."""

    def __init__(self, desk: Desk, planner: Planner, asked: _Asked) -> None:
        self._desk = desk
        self._planner = planner
        self._asked = asked
        self._look = Look(planner.stages[0].look.policy, 0)
        self._before = Spend()
        self._records: list[StageRecord] = []
        self._lost: tuple[str, ...] = ()
        self._steering = asked.steering

    async def solve(self) -> Solution:
        """Look and decide until a decision is final, then follow it."""
        advice = self._first()
        while True:
            try:
                if advice.abstain:
                    self._record(advice)
                    return self._abstained(advice)
                if advice.look is None:
                    result = await self._desk.run(advice.choice, self._look)
                    self._record(advice)
                    return self._done(result, advice)
                look = advice.look
                candidates = await self._desk.look(look)
            except EngineError:
                raise  # a server's failure is a RewardError too, and this one was the policy's
            except RewardError as error:
                advice = await self._without_prm(advice, error)
                continue
            paid = self._before
            self._record(advice)
            if len(candidates) < look.samples:
                # fewer finished than asked for, since the cap, the time or the policy ended: they must do
                return self._cut_short(look, advice, paid)
            self._look = look
            self._desk.tell(Looked(look, len(candidates), self._desk.spend))
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
            steering=self._steering,
        )
        return self._told(advice)

    async def _next(self, candidates: Sequence[Candidate]) -> Recommendation:
        asked, reader = self._asked, grading(self._asked.problem.domain)
        answers = [candidate.answer for candidate in candidates]
        groups = await aside(reader, group, asked.problem, reader, answers)
        advice = self._planner.decide(
            asked.problem.question,
            self._look,
            candidates,
            objective=asked.objective,
            cap=asked.cap,
            spent=self._desk.spend,
            groups=groups,
            domain=asked.problem.domain,
            abstain_below=asked.abstain_below,
            steering=self._steering,
        )
        return self._told(advice)

    def _told(self, advice: Recommendation) -> Recommendation:
        self._desk.tell(Decided(len(self._records), self._look, advice, self._desk.spend))
        return advice

    async def _without_prm(self, advice: Recommendation, error: RewardError) -> Recommendation:
        """Decide again as if the PRM that failed were not there. The last look's samples stay; what was drawn
        for the PRM since then is paid for and gone."""
        prm = advice.choice.prm if advice.look is None else advice.look.prm
        if prm is None or prm in self._lost:
            raise error
        self._lost = (*self._lost, prm)
        self._record(advice)
        self._desk.tell(Lost(prm, self._desk.spend))
        self._steering = Barring(prms=self._lost, then=self._asked.steering)
        if self._look.samples:
            return await self._next(self._desk.candidates)
        return self._first()

    def _record(self, advice: Recommendation) -> None:
        spent = self._desk.spend
        self._records.append(StageRecord(self._look, advice, _minus(spent, self._before)))
        self._before = spent

    # ---- answering

    def _done(self, result: Result, advice: Recommendation) -> Solution:
        desk, last = self._desk, self._records[-1]
        before = _minus(self._before, last.spend)
        ran = advice.choice
        if result is desk.last:  # the answer so far
            ran = Choice(self._look.policy, self._look.prm, result.plan)
        promised = advice.accuracy, before.tokens + advice.tokens, before.flops + advice.flops
        return _solution(desk, result, ran, self._records, promised, self._lost)

    def _cut_short(self, look: Look, advice: Recommendation, paid: Spend) -> Solution:
        """The answer of a look that the budget, the deadline or the policy's failure cut short."""
        assert self._desk.last is not None
        choice = Choice(look.policy, look.prm, self._desk.last.plan)
        promised = advice.accuracy, paid.tokens + advice.tokens, paid.flops + advice.flops
        return _solution(self._desk, self._desk.last, choice, self._records, promised, self._lost)

    def _abstained(self, advice: Recommendation) -> Solution:
        """What there is where nothing more is worth trying."""
        desk, spent = self._desk, self._desk.spend
        last = desk.last
        choice = advice.choice if last is None else Choice(self._look.policy, self._look.prm, last.plan)
        return Solution(
            None if last is None else last.answer,
            Outcome.ABSTAINED,
            choice,
            desk.candidates,
            tuple(self._records),
            advice.accuracy,
            float(spent.tokens),
            spent.flops,
            spent,
            None if last is None else last.chosen,
            desk.usd,
            desk.ended,
            _gone(desk, self._lost),
        )


def _solution(
    desk: Desk,
    result: Result,
    choice: Choice,
    records: Sequence[StageRecord],
    promised: tuple[float, float, float],
    lost: tuple[str, ...],
) -> Solution:
    """``promised``: accuracy, tokens and FLOPs."""
    return Solution(
        result.answer,
        result.outcome,
        choice,
        result.candidates,
        tuple(records),
        *promised,
        desk.spend,
        result.chosen,
        desk.usd,
        desk.ended,
        _gone(desk, lost),
    )


def _gone(desk: Desk, prms: tuple[str, ...]) -> tuple[str, ...]:
    """The models that failed: these PRMs, and the policy."""
    return prms if desk.failed is None else (*prms, desk.failed)


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
