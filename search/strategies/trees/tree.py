"""Tree searches: what they have in common, from prior to conclusion."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from search.errors import PlanError
from search.ledger import Ledger
from search.problem import Problem
from search.result import Candidate, Result
from search.scores import SCORES
from search.strategies.fields import one_of, whole
from search.strategies.protocol import Setting, Strategy
from search.strategies.running.candidates import conclude, score_prior
from search.strategies.running.session import Session
from search.strategies.trees.growing import Beam, Grower
from search.voting.votes import VOTES

__all__ = ["TreeSearch", "TreeStrategy", "wide_variants"]


#: steps that a solution is taken to have
_STEPS = 8


class TreeSearch(Strategy):
    """Searches over steps with a PRM, then votes over the finished beams, prior candidates first.

    Subclasses are dataclasses with the fields ``n``, ``prune``, ``score`` and ``vote`` among theirs:
    ``prune`` is the score that steers the tree; ``score`` and ``vote`` pick the answer, and change nothing
    before. When the budget or the time ends, the answer comes from what is finished.
    """

    n: int
    prune: str
    score: str
    vote: str

    needs_reward = True
    most_prior = None
    picking = frozenset({"score", "vote"})

    def fresh(self, prior: int) -> int:
        """Prior solutions join the final vote and take no place in the tree."""
        return self.n

    @property
    def going(self) -> int:
        """Partial solutions that are gone on with after a step, each by a request of its own."""
        return self.n

    def sends(self, prompt: float, solution: float) -> float:
        """All that stands is sent with every further step."""
        return prompt + self.going * (_STEPS - 1) * (prompt + solution / 2.0)

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """As ``Strategy.variants``, from n = 2 on; ``tree_n`` and ``tree_score`` stand for n, score."""
        numbers = [n for n in axes["n"] if n > 1] if axes["tree_n"] is None else axes["tree_n"]
        for n, prune, name, vote in product(numbers, axes["prune"], axes["tree_score"], axes["vote"]):
            yield {"n": n, "prune": prune, "score": name, "vote": vote}

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
        plan = self.plan
        async with Session(problem, plan, setting, ledger) as session:
            earlier = score_prior(session, prior)
            finished = await self.search(Grower(session), seed)
            candidates = [*await asyncio.gather(*earlier), *(beam.candidate(problem) for beam in finished)]
            return await conclude(session, candidates)


@dataclass(frozen=True)
class TreeStrategy(TreeSearch):
    """Trees of n places in which every survivor has ``width`` children."""

    n: int = whole(16)
    width: int = whole(4)
    prune: str = one_of(SCORES, "last")
    score: str = one_of(SCORES, "last")
    vote: str = one_of(VOTES, "max")

    def __post_init__(self) -> None:
        if self.n % self.width:
            raise PlanError(f"n must be divisible by width, got n={self.n}, width={self.width}")

    @property
    def going(self) -> int:
        return self.n // self.width

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """As ``TreeSearch.variants``, from n = width on."""
        return wide_variants(axes)


def wide_variants(axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters of tree plans with a width in a grid."""
    for width in axes["width"]:
        numbers = [n for n in axes["n"] if n >= width] if axes["tree_n"] is None else axes["tree_n"]
        for n, prune, name, vote in product(numbers, axes["prune"], axes["tree_score"], axes["vote"]):
            yield {"n": n, "width": width, "prune": prune, "score": name, "vote": vote}
