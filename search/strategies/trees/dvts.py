"""``dvts(n, width, prune, score, vote)``: diverse verifier tree search.

Beeching, Tunstall and Rush, "Scaling test-time compute with open models" (Hugging Face, 2024), and
search-and-learn: n / width independent subtrees, in each the best of width children is expanded,
so that no subtree can crowd out another. The rules of a step are in ``search.strategies.trees.growing``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from search.strategies.trees.growing import Beam, Grower, best_of_beams
from search.strategies.trees.tree import TreeStrategy

__all__ = ["Dvts"]


@dataclass(frozen=True)
class Dvts(TreeStrategy):
    """n / width trees of width places, from one request for n first steps; none waits for another."""

    name = "dvts"
    caption = "n / width independent trees, each pruned by the PRM"

    async def search(self, grower: Grower, seed: int) -> list[Beam]:
        """The finished beams of all subtrees, in the order of the subtrees."""
        first = grower.expand(grower.root(seed), self.n)
        best = best_of_beams(self.width, self.prune)
        subtrees = [
            grower.grow(first[start : start + self.width], self.width, best)
            for start in range(0, self.n, self.width)
        ]
        return [beam for subtree in await asyncio.gather(*subtrees) for beam in subtree]
