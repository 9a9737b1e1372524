"""A track: one method at several settings, and what it reaches at exactly some mean budget.

Between two settings a method may split its requests at random so that the mean FLOPs are met exactly:
that is what "at equal mean FLOPs" means everywhere here, for the planner as for its rivals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Track"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A method's outcomes (P, J) at J settings. ``mixes``: whether it may split between two of them."""

    name: str
    accuracy: Floats
    tokens: Floats
    flops: Floats
    mixes: bool = True

    def at(self, budget: float) -> tuple[Floats, Floats, Floats]:
        """Per-problem accuracy, tokens and FLOPs (P,) at mean FLOPs of ``budget``.

        Below the cheapest setting: the cheapest one. Above the dearest: the dearest.
        """
        order = np.argsort(self.flops.mean(axis=0), kind="stable")
        cost = self.flops.mean(axis=0)[order]
        fitting = np.flatnonzero(cost <= budget * (1.0 + 1e-9))
        low = int(fitting[-1]) if len(fitting) else 0
        high = low + 1
        share = 0.0
        if self.mixes and len(fitting) and high < len(cost) and cost[high] > cost[low]:
            share = float((budget - cost[low]) / (cost[high] - cost[low]))
        first, second = order[low], order[min(high, len(cost) - 1)]

        def mixed(values: Floats) -> Floats:
            return np.asarray((1.0 - share) * values[:, first] + share * values[:, second])

        return mixed(self.accuracy), mixed(self.tokens), mixed(self.flops)
