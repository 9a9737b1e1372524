"""The record of a request: what has happened so far, to be written down whenever the request ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from planner.deciding.recommendation import Recommendation
from planner.options import options, voting
from planner.server.access.exchange import Exchange
from planner.server.access.keys import ANYONE
from planner.server.access.limits import Held
from planner.server.decisions.comparison import BESIDE, Comparison
from planner.server.decisions.recorder import Decision, Step
from planner.server.observing.rolling_metrics import Finished
from planner.server.request.budget import to_wire
from planner.server.request.request_context import RequestContext, expected_seconds
from planner.server.request.serialize import known
from planner.server.request.shaping import Meter
from planner.server.service import Service
from planner.solving.events import Decided, EndReason, Event, Left, Started
from planner.solving.solution import Solution
from search.choice import Choice
from search.errors import EngineError
from search.plan import Plan
from search.result import Spend

__all__ = ["Progress", "RequestRecord"]


_NOTHING = Spend()


@dataclass(slots=True)
class Progress(Meter):
    """One answer of the request, so far, and what the engines did for it."""

    choice: Choice | None = None
    advice: list[tuple[Decided, Spend]] = field(default_factory=list)
    latest: Spend = _NOTHING
    solution: Solution | None = None


class RequestRecord:
    """Hears of events and solutions, each of one answer; ``write`` tells the log, the rates, the figures.

    A decision that is written down counts what all answers spent, and tells how the first of them came about
    that is there. ``comparison`` is asked when it is written down.
    """

    def __init__(
        self,
        service: Service,
        context: RequestContext,
        comparison: Callable[[], Comparison | None] = lambda: None,
    ) -> None:
        self.spend = _NOTHING  # of answers that have ended
        self.held: Held | None = None  # of the key's limits
        self._money: list[float | None] = []  # of answers that have ended
        self._service = service
        self._context = context
        self._comparison = comparison
        self._exchange = Exchange.now()
        self._arrived = time.time() - self._exchange.seconds
        self.answers = tuple(Progress(choice=context.choice) for _ in range(context.ask.n))

    def hear(self, event: Event, place: int) -> None:
        """Something happened for an answer."""
        answer = self.answers[place]
        answer.latest = event.spend
        if isinstance(event, Decided):
            answer.advice.append((event, event.spend))
        elif isinstance(event, Started):
            answer.choice = event.choice
        elif isinstance(event, Left):
            self.spend = self.spend + event.spend
            self._money.append(event.usd)

    def solved(self, solution: Solution, place: int) -> None:
        """An answer is there."""
        self.spend = self.spend + solution.spend
        self._money.append(solution.usd)
        self.answers[place].solution = solution

    def write(self, outcome: str, error: Exception | None) -> Decision | None:
        """Write down how it ended, and tell that.

        A request that was refused and spent nothing is only counted.
        """
        service = self._service
        service.rates.spent(self._context.key, self.spend.tokens)
        if self.held is not None:
            self.held.settle(self.spend.tokens, None if None in self._money else self._usd)
        if outcome == "refused" and not self.spend.tokens:  # whatever time it took
            if not self._is_beside:
                service.rolling.refuse()
            return None
        decision = self._decision(outcome, error)
        service.recorder.record(decision)
        Exchange.after(partial(self._count, decision))  # no answer waits for figures
        return decision

    def _count(self, decision: Decision) -> None:
        self._service.metrics.finish(decision)
        if self._service.rules.explore:
            self._tell_explored()
        if not self._is_beside:
            self._service.rolling.finish(self._finished(decision))

    def _tell_explored(self) -> None:
        for answer in self.answers:
            for event, _ in answer.advice:
                if event.advice.explored is not None:
                    self._service.metrics.explore(event.advice.explored)

    @property
    def _is_beside(self) -> bool:
        """Whether nobody asked for it: it is counted apart."""
        return self._context.endpoint == BESIDE

    @property
    def _told(self) -> Progress:
        """What is told of: the first answer that is there, or would have been."""
        return next((answer for answer in self.answers if answer.solution is not None), self.answers[0])

    @property
    def _usd(self) -> float | None:
        """Money that the answers took, those included that were cut off; None without prices or any."""
        money = [usd for usd in self._money if usd is not None]
        return sum(money) if money else None

    def _decision(self, outcome: str, error: Exception | None) -> Decision:
        context, answer = self._context, self._told
        solution = answer.solution
        choice = answer.choice if solution is None else solution.choice
        if choice is None:
            choice = Choice(context.first, None, Plan.of("cot"))
        steps = _steps(answer)
        propensity = 1.0
        for step in steps:
            propensity *= step.propensity
        return Decision(
            decision_id=context.response_id,
            created=self._arrived,
            endpoint=context.endpoint,
            key=None if context.key is ANYONE else context.key.name,
            question=context.ask.question,
            domain=context.domain,
            planner=None if context.choice is not None else context.served.fingerprint,
            budget=to_wire(context.ask.budget),
            budget_source=str(context.ask.source),
            reason=None if context.reason is None else context.reason.code,
            policy=choice.policy,
            prm=choice.prm,
            plan=str(choice.plan),
            answer=None if solution is None else solution.answer,
            outcome=outcome,
            accuracy=None if solution is None else known(solution.accuracy),
            tokens=None if solution is None else known(solution.tokens),
            flops=None if solution is None else known(solution.flops),
            seconds=None if solution is None else expected_seconds(self._service, context, solution),
            usd=None,
            propensity=propensity,
            steps=steps,
            candidates=() if solution is None else solution.candidates,
            chosen=None if solution is None else solution.chosen,
            spend=replace(self.spend, seconds=self._exchange.seconds),
            spent_usd=self._usd,
            error=_failure(error, solution),
            comparison=self._comparison(),
            assignment=context.assignment,
        )

    def _finished(self, decision: Decision) -> Finished:
        context, solution = self._context, self._told.solution
        majority, never = None, False
        if solution is not None and solution.stages:
            found = options(context.planner, context.ask.question)
            vote = voting(found, context.first, solution.stages[0].advice.accuracy)
            if vote is not None:
                majority, never = vote.option.flops, vote.never
        return Finished(
            at=time.time(),
            outcome=decision.outcome,
            policy=decision.policy,
            prm=decision.prm,
            plan=decision.plan,
            seconds=decision.spend.seconds,
            tokens=decision.spend.tokens,
            flops=decision.spend.flops,
            usd=decision.spent_usd,
            expected_accuracy=decision.accuracy,
            expected_tokens=decision.tokens,
            majority=majority,
            never=never,
            deadline=context.budget.seconds,
        )


def _steps(answer: Progress) -> tuple[Step, ...]:
    """The stages of an answer, and what each of them took."""
    if answer.solution is not None:
        return tuple(_step(str(r.probe), r.advice, r.spend) for r in answer.solution.stages)
    out: list[Step] = []
    for place, (event, before) in enumerate(answer.advice):
        after = answer.advice[place + 1][1] if place + 1 < len(answer.advice) else answer.latest
        spent = Spend(
            after.policy_tokens - before.policy_tokens,
            after.prm_tokens - before.prm_tokens,
            flops=after.flops - before.flops,
            seconds=after.seconds - before.seconds,
        )
        out.append(_step(str(event.probe), event.advice, spent))
    return tuple(out)


def _failure(error: Exception | None, solution: Solution | None) -> str | None:
    """The class of what went wrong, in a policy that an answer did without too."""
    if error is None and solution is not None and solution.ended == EndReason.POLICY_FAILED:
        return EngineError.__name__
    return None if error is None else type(error).__name__


def _step(probe: str, advice: Recommendation, spend: Spend) -> Step:
    features = () if advice.features is None else tuple(advice.features.tolist())
    return Step(
        look=probe,
        next_look=None if advice.probe is None else str(advice.probe),
        policy=advice.choice.policy,
        prm=advice.choice.prm,
        plan=str(advice.choice.plan),
        accuracy=known(advice.accuracy),
        tokens=advice.tokens,
        flops=advice.flops,
        propensity=advice.propensity,
        features=features,
        spend=spend,
    )
