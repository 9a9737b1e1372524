"""``best_of_n(n, score)``: n samples, the one that the PRM scores highest (arXiv 2110.14168, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from search.strategies.scored import ScoredStrategy

__all__ = ["BestOfN"]


@dataclass(frozen=True)
class BestOfN(ScoredStrategy):
    """The highest-scored readable sample. Ties go to the earlier draw."""

    name = "best_of_n"
    caption = "the sample of n that the PRM scores highest"

    vote = "max"
