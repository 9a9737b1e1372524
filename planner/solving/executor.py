"""Solves a question as a planner advises: probes, decides again, runs the chosen plan, answers.

It grades nothing. What was spent on a probe stays spent, and its samples stay candidates of every plan of
the same policy. Hard caps are kept by the ledger whatever the planner expects.
``planner.solving.request_run`` does the work and tells a listener about it (``planner.solving.events``).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from planner.decider import Decider
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from planner.solving.availability_filter import AvailabilityFilter, RefusalFilter
from planner.solving.deadline_filter import DeadlineFilter
from planner.solving.domains import PLAIN, Assigned, assign
from planner.solving.events import Decided, EndReason, Left, Listener, Lost, Probed
from planner.solving.forced import check_open_plan
from planner.solving.latency import Latency, Work
from planner.solving.request_run import RequestRun, Settings
from planner.solving.settings import plainly
from planner.solving.solution import Solution, StageRecord
from planner.solving.stopping import EarlyStopping
from search.budget import UNLIMITED, Budget, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.errors import ArtefactError, EngineError, GradingError, RewardError
from search.grading.registry import domain as grading
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.voting.grouping import GRACE, grouped

__all__ = ["perform", "solve"]

#: a vote that what is missing cannot change any more ends
_SETTLED = EarlyStopping()


async def solve(
    question: str | Problem,
    planner: Decider,
    settings: Settings,
    *,
    budget: Budget,
    domain: str | None = None,
    choice: Choice | None = None,
    open_plan: Plan | None = None,
    seed: int = 0,
    abstain_below: float = 0.0,
    allow_foreign: bool = False,
    prices: Mapping[str, Prices] | Prices | None = None,
    latency: Latency | None = None,
    load: Callable[[], int] = lambda: 1,
    availability: AvailabilityFilter | None = None,
    decision_filter: DecisionFilter | None = None,
    early_stopping: EarlyStopping | None = _SETTLED,
    listener: Listener | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Solution:
    """Answer a question: the one path of the Python API, the command line and the server.

    Parameters
    ----------
    question:
        A text, or a problem, which brings its domain.
    settings:
        Must hold every policy x PRM pair that the planner may choose; plans without a PRM run in the
        setting (policy, None) or, without one, in any setting of the policy.
    domain:
        What reads answers of a text. None: the planner says it (``planner.solving.domains``), and a text that
        is foreign to it gets one plain answer, with the reason in ``Solution.reason``.
    choice:
        Run this instead of what the planner would choose: nothing is expected of it (NaN).
    open_plan:
        What answers a text that is foreign to the planner; None: one greedy answer.
    seed:
        Determines every draw where the engine promises so.
    abstain_below:
        Stop where no affordable plan is expected to be right this often; the answer is then the vote over
        what a probe showed, if there was one.
    prices:
        Needed for a budget in money.
    latency, load:
        Under a deadline, what is known of how long choices take, and how many requests are worked on; what
        this request takes is learned from. None: decisions leave the time to the deadline itself.
    availability:
        Models that are left out.
    decision_filter:
        Filters decisions further (``planner.deciding.decision_filter``).
    early_stopping:
        When drawing for the final vote stops early: by default when what is missing cannot change it. None
        draws all.
    listener:
        Hears of everything as it happens, and of ``Left`` where this raises.
    clock:
        Seconds, monotonic: the time of the running loop's timers.

    A PRM that fails on the way ends the drawing for it, and is left out of what follows; so is a plan whose
    programs cannot be run any more. Plans that cannot run on this question here are left out from the start.
    A policy that fails is asked again where that charges nothing twice, within the deadline. At the deadline,
    and when the policy stays away, the best answer so far is returned (``Solution.ended``). Raises
    ArtefactError for models that the planner was not learned from or a pair that is missing, BudgetError when
    not even the cheapest choice fits a cap, EngineError when the policy fails before any answer can be read.
    """
    if not allow_foreign:
        planner.check(_cards(settings))
    assigned, problem = _assigned(planner, question, domain, choice)
    if not assigned.planned and choice is None:
        plan = Plan.of("cot") if open_plan is None else open_plan
        check_open_plan(plan)
        choice, settings = _plain_answer(planner, settings, availability, plan), plainly(settings)
    budget = planner.resolve(budget, problem.question)
    caps = budget  # samples are for the decision, a ledger keeps the rest
    if budget.samples is not None:
        caps = replace(budget, samples=None)
    if choice is not None:
        found = await perform(
            problem,
            choice,
            settings,
            budget=caps,
            prices=prices,
            seed=seed,
            early_stopping=early_stopping,
            listener=listener,
            clock=clock,
        )
        if assigned.reason:
            found = replace(found, reason=assigned.reason)
    else:
        run = RequestRun(
            problem,
            settings,
            caps,
            seed,
            prices=prices,
            listener=listener,
            early_stopping=early_stopping,
            clock=clock,
        )
        if latency is not None and budget.seconds is not None and math.isfinite(budget.seconds):
            decision_filter = DeadlineFilter(latency, lambda: run.seconds_left, load, decision_filter)
        filtered = decision_filter if availability is None else availability.wrapping(decision_filter)
        # rules choose among plans that run anywhere
        learned = () if planner.fitted is None else planner.choices
        unfit = await run.refused(learned)
        if unfit:
            filtered = RefusalFilter(unfit, filtered)
        asked = _Asked(problem, budget, prices, abstain_below, filtered)
        try:
            found = await _Staged(run, planner, asked).solve()
        except BaseException:
            run.tell(Left(run.spend, run.usd))
            raise
    if latency is not None:
        _observe(latency, found, load())
    return found


async def perform(
    question: str | Problem,
    choice: Choice,
    settings: Settings,
    *,
    budget: Budget = UNLIMITED,
    prices: Mapping[str, Prices] | Prices | None = None,
    domain: str = PLAIN,
    seed: int = 0,
    early_stopping: EarlyStopping | None = None,
    listener: Listener | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Solution:
    """Answer a question by a choice that is given, with no planner: nothing is expected (NaN).

    Parameters and errors as ``solve`` has them, but all is drawn unless ``early_stopping`` says otherwise,
    and a PRM that fails raises RewardError.
    """
    problem = question if isinstance(question, Problem) else Problem("request", "", domain, question)
    run = RequestRun(
        problem,
        settings,
        budget,
        seed,
        prices=prices,
        listener=listener,
        early_stopping=early_stopping,
        clock=clock,
    )
    try:
        result = await run.run(choice, Probe(choice.policy, 0))
    except BaseException:
        run.tell(Left(run.spend, run.usd))
        raise
    unknown = float("nan")
    return _solution(run, result, choice, (), (unknown, unknown, unknown), ())


def _assigned(
    planner: Decider, question: str | Problem, domain: str | None, choice: Choice | None
) -> tuple[Assigned, Problem]:
    """Whose question it is. Whoever names the choice may name any domain, that of open questions too."""
    if isinstance(question, Problem):
        return Assigned(question.domain, True), question
    if choice is not None and domain is not None:
        assigned = Assigned(domain, True)
    else:
        assigned = assign(planner, question, domain)
    return assigned, Problem("request", "", assigned.domain, question)


def _plain_answer(
    planner: Decider, settings: Settings, availability: AvailabilityFilter | None, plan: Plan
) -> Choice:
    """An answer by the policy that the planner begins with, or of the first that is there."""
    first = planner.first
    there = dict.fromkeys(policy for policy, _ in settings)
    plain = [Choice(policy, None, plan) for policy in sorted(there, key=lambda name: name != first)]
    left = [one for one in plain if availability is None or not availability.excludes(one)]
    if not left:
        raise ArtefactError(f"a plain answer needs a policy that is there, got none of {', '.join(there)}")
    return left[0]


def _observe(latency: Latency, found: Solution, load: int) -> None:
    """Let the latency model see what each stage took."""
    if found.ended == EndReason.POLICY_FAILED:
        return  # it was waited for, not worked with
    for record in found.stages:
        probe, drawn = record.advice.probe, record.probe.samples
        if probe is None:
            work = Work.of(record.advice.choice, drawn)
        else:
            work = Work(probe.policy, probe.prm, max(1, probe.samples - drawn), False)
        # what was cut off tells too: so many tokens took so long
        latency.observe(work, record.spend.tokens, record.spend.seconds, load)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks for."""

    problem: Problem
    budget: Budget
    prices: Mapping[str, Prices] | Prices | None
    abstain_below: float
    decision_filter: DecisionFilter | None


class _Staged:
    """The decisions of one request, in stages."""

    def __init__(self, run: RequestRun, planner: Decider, asked: _Asked) -> None:
        self._run = run
        self._planner = planner
        self._asked = asked
        self._probe = Probe(planner.first, 0)
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
            except GradingError as error:
                advice = await self._without_choice(advice, error)
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
        return self._announce(self._decided())

    async def _next(self, candidates: Sequence[Candidate]) -> Recommendation:
        asked, reader = self._asked, grading(self._asked.problem.domain)
        answers = [candidate.answer for candidate in candidates]
        seconds = max(self._run.seconds_left, GRACE)
        groups = await grouped(asked.problem, reader, answers, seconds=seconds)
        return self._announce(self._decided(candidates, groups))

    def _decided(
        self, candidates: Sequence[Candidate] = (), groups: Sequence[int] | None = None
    ) -> Recommendation:
        asked = self._asked
        return self._planner.decide(
            asked.problem.question,
            self._probe if candidates else None,
            candidates,
            budget=asked.budget,
            prices=asked.prices,
            spent=self._run.spend if candidates else self._before,
            spent_usd=(self._run.usd or 0.0) if candidates else 0.0,
            groups=groups,
            domain=asked.problem.domain,
            abstain_below=asked.abstain_below,
            decision_filter=self._decision_filter,
        )

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
        self._decision_filter = AvailabilityFilter(prms=self._lost, then=self._decision_filter)
        if self._probe.samples:
            return await self._next(self._run.candidates)
        return self._first()

    async def _without_choice(self, advice: Recommendation, error: GradingError) -> Recommendation:
        """Decide again as if a plan whose programs could not be run were not there. What it spent stays
        spent."""
        plan = advice.choice.plan
        runs = (plan, *(part.plan for part in plan.walk()))
        if advice.probe is not None or all(one.described.runs_anywhere for one in runs):
            raise error  # that of the answers' own grader
        self._record(advice)
        self._decision_filter = RefusalFilter([advice.choice], self._decision_filter)
        if self._probe.samples:
            return await self._next(self._run.candidates)
        return self._first()

    def _record(self, advice: Recommendation) -> None:
        spent = self._run.spend
        self._records.append(StageRecord(self._probe, advice, spent - self._before))
        self._before = spent

    # ---- answering

    def _done(self, result: Result, advice: Recommendation) -> Solution:
        run, last = self._run, self._records[-1]
        before = self._before - last.spend
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
            run.problem.domain,
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
        run.problem.domain,
        calls=result.calls,
        jail_seconds=result.jail_seconds,
    )


def _gone(run: RequestRun, prms: tuple[str, ...]) -> tuple[str, ...]:
    """The models that failed: these PRMs, and the policy."""
    return prms if run.failed is None else (*prms, run.failed)


def _cards(settings: Settings) -> list[ModelCard]:
    cards = [setting.engine.card for setting in settings.values()]
    return [*cards, *(setting.reward.card for setting in settings.values() if setting.reward is not None)]
