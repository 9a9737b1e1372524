"""``beam_search(n, width, prune, score, vote)``: the PRM prunes partial solutions after every step.

Snell et al. (arXiv 2408.03314, section 5.2), arXiv 2502.06703, Hugging Face's search-and-learn.
The rules of a step are in ``search.strategies.trees.growing``.
"""

from __future__ import annotations

from dataclasses import dataclass

from search.strategies.trees.growing import Beam, Grower, best_of_beams
from search.strategies.trees.tree import TreeStrategy

__all__ = ["BeamSearch"]


@dataclass(frozen=True)
class BeamSearch(TreeStrategy):
    """One tree of n places: n first steps, n / width survivors, each expanded width times."""

    name = "beam_search"
    caption = "the PRM prunes n partial solutions after every step"

    async def search(self, grower: Grower, seed: int) -> list[Beam]:
        """The finished beams of one tree."""
        first = grower.expand(grower.root(seed), self.n)
        return await grower.grow(first, self.n, best_of_beams(self.width, self.prune))
