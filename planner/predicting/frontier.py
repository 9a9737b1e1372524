"""What decisions at each price met on left-out families: turns a mean budget into a price.

``planner.predicting.targets`` turns a target accuracy into prices by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.predicting.bounds import Bounds
from search.budget import Unit
from search.errors import ArtefactError

__all__ = ["Frontier"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """What decisions at each price (J,) met on left-out families: means over problems.

    Parameters
    ----------
    bounds:
        How sure the mean accuracies are. Planners from before that was measured have None.
    """

    prices: Floats
    accuracy: Floats
    tokens: Floats
    flops: Floats
    bounds: Bounds | None = None

    def __post_init__(self) -> None:
        parts = (self.prices, self.accuracy, self.tokens, self.flops)
        if not len(self.prices) or len({part.shape for part in parts}) != 1 or self.prices.ndim != 1:
            raise ArtefactError(
                f"a frontier needs equally many numbers per price, got {[p.shape for p in parts]}"
            )
        if not all(np.isfinite(part).all() for part in parts) or (np.diff(self.prices) <= 0).any():
            raise ArtefactError("a frontier needs finite numbers at ascending prices, got others")
        if self.bounds is not None and self.bounds.mean.shape != self.prices.shape:
            raise ArtefactError(
                f"a frontier's bounds are of {len(self.prices)} prices, got {self.bounds.mean.shape}"
            )

    def price_of(self, mean: float, share: float, unit: Unit = "flops") -> float:
        """The price at which requests cost ``mean`` of ``unit`` on average.

        Between two prices of the grid, requests are split at random (``share`` in [0, 1) is the request's
        draw), so that the mean is met exactly.
        """
        cost = np.minimum.accumulate(self.flops if unit == "flops" else self.tokens)
        if mean >= cost[0]:
            return float(self.prices[0])
        if mean <= cost[-1]:
            return float(self.prices[-1])
        right = int(np.argmax(cost < mean))
        weight = (cost[right - 1] - mean) / (cost[right - 1] - cost[right])
        return float(self.prices[right] if share < weight else self.prices[right - 1])
