"""``dvts(n, width, prune, score, vote)``: diverse verifier tree search.

Beeching, Tunstall and Rush, "Scaling test-time compute with open models" (Hugging Face, 2024), and
search-and-learn: n / width independent subtrees, in each the best of width children is expanded,
so that no subtree can crowd out another. The rules of a step are in ``search.strategies.growing``.
"""

from __future__ import annotations

import asyncio

from search.strategies.growing import Beam, Grower
from search.strategies.tree import TreeStrategy

__all__ = ["Dvts"]


class Dvts(TreeStrategy):
    """n / width trees of width places, from one request for n first steps; none waits for another."""

    name = "dvts"

    async def search(self, grower: Grower, seed: int, n: int, width: int) -> list[Beam]:
        """The finished beams of all subtrees, in the order of the subtrees."""
        first = grower.expand(grower.root(seed), n)
        subtrees = [grower.grow(first[start : start + width], width, width) for start in range(0, n, width)]
        return [beam for subtree in await asyncio.gather(*subtrees) for beam in subtree]
