"""``lookahead(n, width, depth, prune, score, vote)``: beam search that looks ahead before it prunes.

Snell, Lee, Xu and Kumar, "Scaling LLM Test-Time Compute Optimally" (arXiv 2408.03314, section 5.2, "Lookahead
search"; it has no numbered equation): with k = ``depth``, the value of a step is

    V(x_1..x_t) = R(x_1..x_t, x'_t+1..x'_t+k),   x' written at temperature 0, fewer where the solution ends,

the PRM's prediction at the end of the rollout in place of that at the step itself. All else is
``beam_search``, which is this search with k = 0. A rollout decides what is kept and is no candidate. Its
tokens and its scoring are charged: about n (k + 1) samples' worth, as the paper counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.errors import PlanError
from search.scores import SCORES, score
from search.strategies.fields import one_of, whole
from search.strategies.trees.growing import Beam, Grower, distinct, survivors
from search.strategies.trees.tree import TreeSearch, wide_variants
from search.voting.votes import VOTES

__all__ = ["Lookahead"]


@dataclass(frozen=True)
class Lookahead(TreeSearch):
    """One tree of n places: the n / width beams survive whose greedy rollouts of ``depth`` steps score best.

    ``prune`` is the score of beam and rollout together; ``last`` is the paper's.
    """

    name = "lookahead"
    caption = "beam search that keeps what scores best a few greedy steps later"

    n: int = whole(16)
    width: int = whole(4)
    depth: int = whole(2)
    prune: str = one_of(SCORES, "last")
    score: str = one_of(SCORES, "last")
    vote: str = one_of(VOTES, "max")

    def __post_init__(self) -> None:
        if self.n % self.width:
            raise PlanError(f"n must be divisible by width, got n={self.n}, width={self.width}")

    @property
    def going(self) -> int:
        """The survivors, and every beam as it looks ahead."""
        return self.n // self.width + self.n * self.depth

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """As ``beam_search``, at the usual depth."""
        return wide_variants(axes)

    async def search(self, grower: Grower, seed: int) -> list[Beam]:
        """The finished beams of one tree."""

        async def share(beams: Sequence[Beam], places: int) -> list[tuple[Beam, int]]:
            own = distinct(beams)
            # nothing is chosen from one beam
            ahead = own if len(own) == 1 else await self._ahead(grower, own)
            values = [score(beam.step_rewards, self.prune) for beam in ahead]
            return survivors(own, values, places, self.width)

        return await grower.grow(grower.expand(grower.root(seed), self.n), self.n, share)

    async def _ahead(self, grower: Grower, beams: Sequence[Beam]) -> list[Beam]:
        """Each beam at the end of its rollout."""
        return await asyncio.gather(*(grower.look_ahead(beam, self.depth) for beam in beams))
