"""``majority(n)``: n samples, the most frequent answer (self-consistency, arXiv 2203.11171)."""

from __future__ import annotations

from dataclasses import dataclass

from search.strategies.fields import whole
from search.strategies.sampling import SamplingStrategy

__all__ = ["Majority"]


@dataclass(frozen=True)
class Majority(SamplingStrategy):
    """Voting without a PRM. Ties go to the earlier draw."""

    name = "majority"
    caption = "the most frequent answer of n samples"

    n: int = whole(16)
