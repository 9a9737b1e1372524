"""Decides about one request in stages: probes, decides again, follows the last decision.

What was spent on a probe stays spent, and its samples stay candidates of every plan of the same policy. Hard
caps are kept by the ledger whatever the planner expects. ``planner.solving.request_run`` does the work and
tells a listener about it (``planner.solving.events``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from planner.decider import Decider
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from planner.solving.availability_filter import AvailabilityFilter, RefusalFilter
from planner.solving.events import Decided, Lost, Probed
from planner.solving.request_run import RequestRun
from planner.solving.solution import Solution, StageRecord
from search.budget import Budget
from search.choice import Choice
from search.errors import EngineError, GradingError, RewardError
from search.grading.registry import domain as grading
from search.result import Candidate, Outcome, Result, Spend
from search.voting.grouping import GRACE, grouped

__all__ = ["Stages"]


class Stages:
    """The decisions of one request, in stages.

    Parameters
    ----------
    budget:
        As ``Decider.decide`` takes it; the run's ledger keeps its caps.
    abstain_below:
        Stop where no affordable plan is expected to be right this often.
    """

    def __init__(
        self,
        run: RequestRun,
        planner: Decider,
        *,
        budget: Budget,
        abstain_below: float = 0.0,
        decision_filter: DecisionFilter | None = None,
    ) -> None:
        self._run = run
        self._planner = planner
        self._budget = budget
        self._abstain_below = abstain_below
        self._probe = Probe(planner.first, 0)
        self._before = Spend()
        self._records: list[StageRecord] = []
        self._lost: tuple[str, ...] = ()
        self._decision_filter = decision_filter

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
        problem = self._run.problem
        answers = [candidate.answer for candidate in candidates]
        seconds = max(self._run.seconds_left, GRACE)
        groups = await grouped(problem, grading(problem.domain), answers, seconds=seconds)
        return self._announce(self._decided(candidates, groups))

    def _decided(
        self, candidates: Sequence[Candidate] = (), groups: Sequence[int] | None = None
    ) -> Recommendation:
        problem = self._run.problem
        return self._planner.decide(
            problem.question,
            self._probe if candidates else None,
            candidates,
            budget=self._budget,
            prices=self._run.prices,
            spent=self._run.spend if candidates else self._before,
            spent_usd=(self._run.usd or 0.0) if candidates else 0.0,
            groups=groups,
            domain=problem.domain,
            abstain_below=self._abstain_below,
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
        return run.solution(result, ran, self._records, expected, self._lost)

    def _cut_short(self, probe: Probe, advice: Recommendation, paid: Spend) -> Solution:
        """The answer of a probe that the budget, the deadline or the policy's failure cut short."""
        assert self._run.last is not None
        choice = Choice(probe.policy, probe.prm, self._run.last.plan)
        expected = advice.accuracy, paid.tokens + advice.tokens, paid.flops + advice.flops
        return self._run.solution(self._run.last, choice, self._records, expected, self._lost)

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
            run.gone(self._lost),
            run.problem.domain,
        )
