"""Sampling under a PRM: what ``best_of_n`` and ``weighted_vote`` have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search.scores import SCORES
from search.strategies.fields import one_of, whole
from search.strategies.sampling import SamplingStrategy

__all__ = ["ScoredStrategy"]


@dataclass(frozen=True)
class ScoredStrategy(SamplingStrategy):
    """n samples, each scored by the PRM; ``score`` makes one number of its step rewards."""

    n: int = whole(16)
    score: str = one_of(SCORES, "last")

    needs_reward = True

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """As ``Strategy.variants``. Of one sample there is nothing to pick: where a grid has ``majority``,
        its single sample stands for that."""
        for values in super().variants(axes):
            if values["n"] > 1 or "majority" not in axes["strategies"]:
                yield values
