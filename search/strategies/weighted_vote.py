"""``weighted_vote(n, score)``: n samples, the answer with the largest sum of scores.

Best-of-N weighted of Snell et al. (arXiv 2408.03314, section 5.1) and of Li et al. (arXiv 2206.02336).
"""

from __future__ import annotations

from search.strategies.sampling import SamplingStrategy

__all__ = ["WeightedVote"]


class WeightedVote(SamplingStrategy):
    """Voting in which each sample weighs its score. Ties go to the higher score, then to the earlier draw."""

    name = "weighted_vote"
    vote = "weighted"
