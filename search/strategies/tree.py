"""Tree searches: what ``beam_search`` and ``dvts`` have in common, from prior to conclusion."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from search.budget import Ledger
from search.errors import PlanError
from search.problem import Problem
from search.result import Candidate, Result
from search.scores import SCORES
from search.strategies.conclusion import concluded
from search.strategies.fields import one_of, whole
from search.strategies.growing import Beam, Grower
from search.strategies.prior import score_prior
from search.strategies.protocol import Setting, Strategy
from search.strategies.session import Session
from search.votes import VOTES

__all__ = ["TreeStrategy"]


@dataclass(frozen=True)
class TreeStrategy(Strategy):
    """Searches with a PRM, then votes over the finished beams, prior candidates first.

    ``prune`` is the score that steers the tree; ``score`` and ``vote`` pick the answer. When the budget or
    the time ends, the answer comes from what is finished.
    """

    n: int = whole(16)
    width: int = whole(4)
    prune: str = one_of(SCORES, "last")
    score: str = one_of(SCORES, "last")
    vote: str = one_of(VOTES, "max")

    needs_reward = True
    most_prior = None

    def fresh(self, prior: int) -> int:
        """Prior solutions join the final vote and take no place in the tree."""
        return self.n

    def __post_init__(self) -> None:
        if self.n % self.width:
            raise PlanError(f"n must be divisible by width, got n={self.n}, width={self.width}")

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """As ``Strategy.variants``, from n = width on; ``tree_n`` and ``tree_score`` stand for n, score."""
        for width in axes["width"]:
            numbers = [n for n in axes["n"] if n >= width] if axes["tree_n"] is None else axes["tree_n"]
            for n in numbers:
                for prune, name, vote in product(axes["prune"], axes["tree_score"], axes["vote"]):
                    yield {"n": n, "width": width, "prune": prune, "score": name, "vote": vote}

    @abstractmethod
    async def search(self, grower: Grower, seed: int) -> list[Beam]:
        """The finished beams, in a fixed order."""

    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        before, plan = ledger.spend, self.plan
        async with Session(problem, plan, setting, ledger) as session:
            earlier = score_prior(session, prior)
            finished = await self.search(Grower(session, self.prune), seed)
            candidates = [*await asyncio.gather(*earlier), *(beam.candidate(problem) for beam in finished)]
            return await concluded(
                problem,
                plan,
                candidates,
                ledger=ledger,
                before=before,
                is_over=session.is_over,
                failure=session.failure,
            )
