"""``cascade(first, tau, then)``: a cheap choice answers where its samples agree, else a stronger one is
asked.

The share of the first part's samples that gave its answer decides: from ``tau`` on that answer stands, below
it the second part answers (vote-based cascade, Yue et al., arXiv 2310.03094, section 3.2). Cascades may be
nested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from search.choice import Choice
from search.errors import EngineError, PlanError, RewardError
from search.grading.registry import domain
from search.ledger import Ledger
from search.problem import Problem
from search.result import Candidate, Result
from search.seeds import seed_of
from search.strategies.fields import nested, real
from search.strategies.kinds import Replay
from search.strategies.nested import run_part
from search.strategies.protocol import Setting, Strategy
from search.strategies.replay import Record, Replayed, replay_plan
from search.voting.grouping import GRACE, grouped

__all__ = ["Cascade"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

K = TypeVar("K")


@dataclass(frozen=True)
class Cascade(Strategy):
    """Two choices; the second is asked only where the samples of the first, two at least, disagree."""

    name = "cascade"
    caption = "a cheap choice, and a stronger one where its samples disagree"

    first: Choice = nested()
    tau: float = real(0.75, least=0.0, most=1.0)
    then: Choice = nested()

    def __post_init__(self) -> None:
        if self.first.plan.n < 2:
            raise PlanError(
                f"a cascade begins with at least two samples that can agree, got {self.first.short}"
            )

    @property
    def samples(self) -> int:
        return self.first.plan.n + self.then.plan.n

    #: that of its first part stands, or that of its second
    picks = False

    def fresh(self, prior: int) -> int:
        return self.first.plan.described.fresh(prior) + self.then.plan.n

    def takes(self, prompt: float, solution: float) -> tuple[float, float]:
        first, then = (part.plan.described.takes(prompt, solution) for part in (self.first, self.then))
        own = first[0] if self.first.policy == self.then.policy else first[0] + then[0]
        return own, first[1] + then[1]

    def sends(self, prompt: float, solution: float) -> float:
        return sum(part.plan.described.sends(prompt, solution) for part in (self.first, self.then))

    @property
    def needs_reward(self) -> bool:
        return self.first.plan.needs_prm

    @property
    def replays(self) -> Replay:
        parts = (self.first, self.then)
        never = any(part.plan.described.replays is Replay.NEVER for part in parts)
        return Replay.NEVER if never else Replay.ORDER

    @property
    def joins_probe(self) -> bool:
        return self.first.plan.described.joins_probe

    @property
    def most_prior(self) -> int | None:
        return self.first.plan.described.most_prior

    # ---- from a log

    def replay(self, record: Record) -> Replayed:
        begun = replay_plan(self.first.plan, record.part(self.first))
        ended = replay_plan(self.then.plan, record.part(self.then, after=self.first))
        stands = (begun.group >= 0) & (begun.agreement >= self.tau)
        falls_back = ~stands & (ended.group < 0)
        keep = stands | falls_back
        return Replayed(
            np.where(keep, begun.group, ended.group),
            np.where(keep, begun.right, ended.right),
            np.where(keep, begun.agreement, ended.agreement),
            _sum(begun.tokens, ended.tokens, ~stands),
            _any(begun.asked, ended.asked, ~stands),
            _sum(begun.scored, ended.scored, ~stands),
        )

    # ---- live

    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        before = ledger.spend
        begun = await run_part(self.first, problem, setting, ledger, seed=seed_of(seed, "first"), prior=prior)
        result = replace(begun, plan=self.plan)
        if await self._agreement(problem, begun, ledger.seconds_left) < self.tau or begun.answer is None:
            result = await self._escalate(problem, setting, ledger, seed_of(seed, "then"), begun)
        return replace(result, spend=ledger.since(before))

    async def _escalate(
        self, problem: Problem, setting: Setting, ledger: Ledger, seed: int, begun: Result
    ) -> Result:
        """The second part's answer; where it has none, or its models fail, the first part's stands."""
        seen = len(begun.candidates)
        try:
            ended = await run_part(self.then, problem, setting, ledger, seed=seed, shown=seen)
        except (EngineError, RewardError):
            if begun.answer is None:
                raise
            return replace(begun, plan=self.plan)
        candidates = (*begun.candidates, *ended.candidates)
        both = replace(
            begun,
            plan=self.plan,
            candidates=candidates,
            calls=(*begun.calls, *ended.calls),
            jail_seconds=begun.jail_seconds + ended.jail_seconds,
        )
        if ended.answer is None and (begun.answer is not None or not ended.candidates):
            return both
        chosen = None if ended.chosen is None else seen + ended.chosen
        return replace(both, answer=ended.answer, chosen=chosen, outcome=ended.outcome, spend=ended.spend)

    async def _agreement(self, problem: Problem, begun: Result, seconds_left: float) -> float:
        """The share of the candidates that gave the answer."""
        if begun.chosen is None:
            return 0.0
        reader = domain(problem.domain)
        answers = [candidate.answer for candidate in begun.candidates]
        numbers = await grouped(problem, reader, answers, seconds=max(seconds_left, GRACE))
        return numbers.count(numbers[begun.chosen]) / len(numbers)


def _sum(first: Mapping[K, Floats], then: Mapping[K, Floats], where: Bools) -> dict[K, Floats]:
    nothing = np.zeros(len(where))
    return {
        key: first.get(key, nothing) + np.where(where, then.get(key, nothing), 0.0)
        for key in dict.fromkeys((*first, *then))
    }


def _any(first: Mapping[K, Bools], then: Mapping[K, Bools], where: Bools) -> dict[K, Bools]:
    never = np.zeros(len(where), np.bool_)
    return {
        key: first.get(key, never) | (where & then.get(key, never)) for key in dict.fromkeys((*first, *then))
    }
