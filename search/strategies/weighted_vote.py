"""``weighted_vote(n, score)``: n samples, the answer with the largest sum of scores.

Best-of-N weighted of Snell et al. (arXiv 2408.03314, section 5.1) and of Li et al. (arXiv 2206.02336).
"""

from __future__ import annotations

from dataclasses import dataclass

from search.strategies.scored import ScoredStrategy

__all__ = ["WeightedVote"]


@dataclass(frozen=True)
class WeightedVote(ScoredStrategy):
    """Voting in which each sample weighs its score. Ties go to the higher score, then to the earlier draw."""

    name = "weighted_vote"
    caption = "a vote of n samples, each weighted by its PRM score"

    vote = "weighted"
