"""``rebase(n, prune, score, vote)``: reward balanced search (REBASE).

Wu, Sun, Li, Welleck and Yang, "Inference Scaling Laws" (arXiv 2408.00724, section 3.1.2). Of n first steps,
and at every depth i after that, C_i solutions are complete and the budget of places becomes
B_i = B_i-1 - C_i. Node j with the reward R_j gets, by equation (1),

    W_j = Round(B_i exp(R_j / T_b) / sum_k exp(R_k / T_b))

children; a node without children is pruned. T_b is ``balance``, 0.1 as in the paper's appendix C. Rounding
each share by itself may add up to more or fewer than B_i; here those with the largest remainders are rounded
up, so that the widths add up to B_i and all n solutions are completed. (The authors' code takes ceilings from
the best node downwards, to the same end.) Nodes of equal text are one node with the shares of all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from search.scores import SCORES, score
from search.strategies.fields import one_of, real, whole
from search.strategies.trees.growing import Beam, Grower, distinct
from search.strategies.trees.tree import TreeSearch
from search.voting.votes import VOTES

__all__ = ["Rebase", "widths"]


def widths(rewards: Sequence[float], places: int, balance: float, copies: Sequence[int] = ()) -> list[int]:
    """Children of each node by equation (1); they add up to ``places``, each within 1 of its share.

    ``copies``: how many nodes each entry stands for, 1 by default. Of equal remainders the higher share is
    rounded up, then the earlier.

    >>> widths([0.9, 0.9, 0.5], 8, balance=0.1)
    [4, 4, 0]
    >>> widths([0.9, 0.8, 0.5], 10, balance=0.1)
    [7, 3, 0]
    """
    if not rewards:
        return []
    top = max(rewards)
    weights = [math.exp((reward - top) / balance) for reward in rewards]
    if copies:
        weights = [weight * many for weight, many in zip(weights, copies, strict=True)]
    total = math.fsum(weights)
    shares = [places * weight / total for weight in weights]
    floors = [math.floor(share) for share in shares]
    left = places - sum(floors)
    order = sorted(range(len(shares)), key=lambda j: (floors[j] - shares[j], -shares[j], j))
    for j in order[:left]:
        floors[j] += 1
    return floors


@dataclass(frozen=True)
class Rebase(TreeSearch):
    """One tree of n places, shared out over the nodes of a depth by the softmax of their rewards.

    ``prune`` is the reward of a node; ``last``, the PRM's reward of its own step, is the paper's. So is the
    weighted vote.
    """

    name = "rebase"
    caption = "places are shared out over partial solutions by the softmax of their rewards"

    n: int = whole(16)
    prune: str = one_of(SCORES, "last")
    score: str = one_of(SCORES, "last")
    vote: str = one_of(VOTES, "weighted")
    balance: float = real(0.1, least=0.001, most=1000.0, quiet=True)

    async def search(self, grower: Grower, seed: int) -> list[Beam]:
        """The finished beams of one tree."""

        async def share(beams: Sequence[Beam], places: int) -> list[tuple[Beam, int]]:
            own, copies = distinct(beams), Counter(beam.text for beam in beams)
            rewards = [score(beam.step_rewards, self.prune) for beam in own]
            found = widths(rewards, places, self.balance, [copies[beam.text] for beam in own])
            return [(beam, width) for beam, width in zip(own, found, strict=True) if width]

        return await grower.grow(grower.expand(grower.root(seed), self.n), self.n, share)
