"""``majority(n)``: n samples, the most frequent answer (self-consistency, arXiv 2203.11171)."""

from __future__ import annotations

from search.strategies.sampling import SamplingStrategy

__all__ = ["Majority"]


class Majority(SamplingStrategy):
    """Voting without a PRM. Ties go to the earlier draw."""

    name = "majority"
    vote = "majority"
