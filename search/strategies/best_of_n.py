"""``best_of_n(n, score)``: n samples, the one that the PRM scores highest (arXiv 2110.14168, section 4)."""

from __future__ import annotations

from search.strategies.sampling import SamplingStrategy

__all__ = ["BestOfN"]


class BestOfN(SamplingStrategy):
    """The highest-scored readable sample. Ties go to the earlier draw."""

    name = "best_of_n"
    vote = "max"
