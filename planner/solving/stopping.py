"""Counts votes as solutions arrive, tells a listener, and ends drawing early: when the vote cannot change any
more, or hardly, and what is missing costs more.

    >>> is_settled("majority", [9.0, 2.0], missing=6)
    True
    >>> round(chance_of_change(9.0, 2.0, missing=12), 4)
    0.0017

The chance that the runner-up overtakes the leader takes all missing draws to go to one of these two: that of
the runner-up has a Beta(runner-up + 1, leader + 1) distribution (Adaptive-Consistency, Aggarwal et al.,
arXiv 2305.11860, equation 3), so its draws are beta-binomial. A vote that changes moves the accuracy by no
more than that chance, which bounds what continuing is worth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, inf, lgamma

from planner.solving.events import Drawn, Ended, EndReason, Grown, Listener, Pruned, Vote
from search.cards import ModelCard
from search.errors import EngineError
from search.grading.registry import domain
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Spend
from search.strategies.observer import BeamEvent, Observer
from search.voting.grouping import Groups

__all__ = ["EarlyStopping", "VoteTracker", "chance_of_change", "is_settled"]

#: seconds that the events of a run wait for comparisons, all together; the vote at its end compares again
_MOST_WAITING = 2.0


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """When drawing ends.

    ``price``: accuracy (1.0 is 100 points) that a FLOP must add; 0: when settled. ``heaviest``: the most that
    a draw can add to an answer's votes.
    """

    price: float = 0.0
    heaviest: float = 1.0

    def ends(self, vote: str, weights: Sequence[float], missing: int, flops: float) -> EndReason | None:
        """Why drawing ends now; None to go on.

        Parameters
        ----------
        vote:
            One of ``search.voting.votes.VOTES``.
        weights:
            What each answer has: candidates for ``majority``, sums of weights for ``weighted``.
        missing, flops:
            Draws that are waited for, and about what each of them costs.
        """
        if missing < 1 or not weights:
            return None
        if is_settled(vote, weights, missing, self.heaviest):
            return EndReason.SETTLED
        if self.price > 0.0 and vote != "max":
            first, second = _leaders(weights)
            if chance_of_change(first, second, missing) < self.price * missing * flops:
                return EndReason.PRICE
        return None


def is_settled(vote: str, weights: Sequence[float], missing: int, heaviest: float = 1.0) -> bool:
    """Whether no outcome of the missing draws can change which answer wins.

    A draw adds at most ``heaviest`` to one answer. The best of n is never settled: any draw may be better.
    """
    if vote == "max" or not weights:
        return False
    first, second = _leaders(weights)
    return first - second > missing * heaviest


def chance_of_change(first: float, second: float, missing: int) -> float:
    """The chance that the runner-up draws level with the leader within so many draws."""
    need = ceil((missing + first - second) / 2)
    if need > missing:
        return 0.0
    a, b = second + 1.0, first + 1.0
    chosen = range(max(need, 0), missing + 1)
    return min(1.0, sum(exp(_log_beta_binomial(k=k, n=missing, a=a, b=b)) for k in chosen))


def _leaders(weights: Sequence[float]) -> tuple[float, float]:
    ranked = sorted(weights, reverse=True)
    return ranked[0], ranked[1] if len(ranked) > 1 else 0.0


def _log_beta_binomial(*, k: int, n: int, a: float, b: float) -> float:
    return (
        lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        + _log_beta(k + a, n - k + b) - _log_beta(a, b)
    )  # fmt: skip


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


class VoteTracker(Observer):
    """Watches one run of a plan.

    Parameters
    ----------
    prior:
        Candidates that the run begins with.
    spend:
        What the request has spent when asked.
    early_stopping:
        When drawing ends early; None: never.
    policy:
        Turns tokens into FLOPs.
    seconds_left:
        Until the request's deadline: comparing answers waits no longer.

    ``ended`` is why drawing ended, where that saved anything; ``failure`` is the policy's.
    """

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        prior: Sequence[Candidate],
        spend: Callable[[], Spend],
        *,
        listener: Listener | None = None,
        early_stopping: EarlyStopping | None = None,
        policy: ModelCard,
        seconds_left: Callable[[], float] = lambda: inf,
    ) -> None:
        self.ended: EndReason | None = None
        self.failure: EngineError | None = None
        self._end_reason: EndReason | None = None  # to end, whether or not there is anything left to be saved
        self._problem = problem
        self._domain = domain(problem.domain)
        self._strategy = plan.described
        self._vote = plan.vote
        self._spend = spend
        self._listener = listener
        self._early_stopping = early_stopping
        if early_stopping is not None and plan.must_run:
            self._early_stopping = None
        elif early_stopping is not None and early_stopping.heaviest != self._strategy.heaviest:
            self._early_stopping = replace(early_stopping, heaviest=self._strategy.heaviest)
        self._policy = policy
        self._seconds_left = seconds_left
        self._waiting_left = _MOST_WAITING
        self._candidates = dict(enumerate(prior))
        self._weighed: dict[int, float] = {}  # by draw
        self._counts: dict[int, int] = {}  # by group
        self._weights: dict[int, float] = {}
        self._groups = Groups(problem)
        self._beams: dict[int, tuple[str, tuple[float, ...]]] = {}
        self._turn = asyncio.Lock()  # comparing may wait: events come in the order of what they tell

    async def drawn(self, draw: int, candidate: Candidate, missing: int) -> bool:
        if self._listener is None and self._early_stopping is None:
            return False
        async with self._turn:
            return await self._drawn(draw, candidate, missing)

    async def _drawn(self, draw: int, candidate: Candidate, missing: int) -> bool:
        is_news = self._candidates.get(draw) != candidate
        if is_news:
            self._candidates[draw] = candidate
        await self._count()
        if self._listener is not None and is_news:
            self._listener(
                Drawn(
                    draw=draw, candidate=candidate, votes=self._votes(), missing=missing, spend=self._spend()
                )
            )
        if self._early_stopping is None or self._end_reason is not None:
            return False
        counted = self._weights if self._vote == "weighted" else self._counts
        self._end_reason = self._early_stopping.ends(
            self._vote, [*map(float, counted.values())], missing, self._flops()
        )
        return self._end_reason is not None

    def cut(self, missing: int) -> None:
        if missing and self._end_reason is not None:
            self.ended = self._end_reason
            if self._listener is not None:
                self._listener(Ended(self._end_reason, missing, self._spend()))

    def failed(self, error: EngineError) -> bool:
        self.failure = error
        return True

    async def grown(self, event: BeamEvent) -> None:
        if self._listener is not None:
            async with self._turn:
                self._listener(await self._grown(event))

    async def _grown(self, event: BeamEvent) -> Grown:
        text, rewards = self._beams.get(event.parent, ("", ()))
        text += event.text
        rewards = (*rewards, *(() if event.reward is None else (event.reward,)))[-event.steps or None :]
        self._beams[event.node] = text, rewards
        answer = None
        if event.finish_reason:
            answer = self._domain.read(self._problem, text)
            finished = Candidate(
                text=text,
                answer=answer,
                step_rewards=rewards,
                step_tokens=(event.tokens,),
                finish_reason=event.finish_reason,
            )
            self._candidates[len(self._candidates)] = finished
        await self._count()
        return Grown(
            node=_name(event.node),
            parent=_name(event.parent),
            steps=event.steps,
            text=event.text,
            reward=event.reward,
            tokens=event.tokens,
            finish_reason=event.finish_reason,
            answer=answer,
            votes=self._votes(),
            spend=self._spend(),
        )

    def pruned(self, kept: Sequence[int], dropped: Sequence[int]) -> None:
        if self._listener is not None:
            self._listener(Pruned(tuple(map(_name, kept)), tuple(map(_name, dropped)), self._spend()))

    async def _count(self) -> None:
        """Count the votes of all candidates, in draw order; comparing waits for a while only."""
        draws = sorted(self._candidates)
        loop = asyncio.get_running_loop()
        began = loop.time()
        seconds = min(self._waiting_left, self._seconds_left())
        groups = await self._groups.numbers(
            [self._candidates[draw].answer for draw in draws], seconds=seconds
        )
        self._waiting_left = max(0.0, self._waiting_left - (loop.time() - began))
        self._counts, self._weights = {}, {}
        for draw, number in zip(draws, groups, strict=True):
            if number >= 0:
                if draw not in self._weighed:
                    self._weighed[draw] = self._strategy.weigh(self._candidates[draw])
                self._counts[number] = self._counts.get(number, 0) + 1
                self._weights[number] = self._weights.get(number, 0.0) + self._weighed[draw]

    def _votes(self) -> tuple[Vote, ...]:
        """As they were counted last, most first."""
        answers = self._groups.answers
        found = [Vote(answers[one], count, self._weights[one]) for one, count in self._counts.items()]
        heavy = self._vote != "majority"
        return tuple(sorted(found, key=lambda v: (-v.weight, -v.count) if heavy else (-v.count, -v.weight)))

    def _flops(self) -> float:
        """About what one more draw costs: the mean length so far."""
        tokens = sum(candidate.tokens for candidate in self._candidates.values())
        return self._policy.flops(tokens / max(1, len(self._candidates)))


def _name(node: int) -> str:
    return f"{node:016x}"
