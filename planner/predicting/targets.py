"""Turns a target accuracy into prices of compute, by what decisions at each price met on left-out problems.

A target is for the mean of a stream of requests. One price for all of them reaches it at the least cost, and
a request that comes alone is decided at that price too. Prices lie on a finite grid; between two of them
requests are split at random, so that the mean is met and not exceeded.

Without a confidence the mean that was met on left-out problems is the target: the stream is expected to be
right that often. With one, the price is certified by Learn-then-Test (Angelopoulos et al., arXiv 2110.01052):
for each price, from the lowest one on, the hypothesis that the mean accuracy is below the target is tested at
level 1 - confidence (``planner.predicting.bounds``), and the first price that fails ends the sequence. The
price taken lies just before it, so that with that confidence over logs like this one the mean reaches the
target.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.predicting.frontier import Frontier
from search.errors import BudgetError

__all__ = ["USUAL_CONFIDENCE", "Target", "target_of"]

Floats = NDArray[np.float64]

#: the confidence of the bound that stands beside a target without one
USUAL_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is promised of a stream of requests under a target accuracy.

    Parameters
    ----------
    asked, confidence:
        The target, and how surely it is to be reached; None: on average.
    reached:
        Whether any price reaches it. Where none does, the most accurate one is used.
    prices, share:
        Accuracy per FLOP; of the requests the share in (0, 1] is decided at the first price, the others at
        the second.
    accuracy, low:
        Expected mean accuracy of the stream, and what it is at least with the confidence (95% without one);
        None where the planner does not know that.
    tokens, flops:
        Expected mean cost of a request.
    """

    asked: float
    confidence: float | None
    reached: bool
    prices: tuple[float, float]
    share: float
    accuracy: float
    low: float | None
    tokens: float
    flops: float

    def price(self, draw: float) -> float:
        """The price of a request that drew a number in [0, 1)."""
        return self.prices[0] if draw < self.share else self.prices[1]

    def __str__(self) -> str:
        sure = ""
        if self.low is not None:
            confidence = USUAL_CONFIDENCE if self.confidence is None else self.confidence
            sure = f" (at least {100 * self.low:.1f}% with a confidence of {confidence:g})"
        return (
            f"A stream of such requests is expected to be right in {100 * self.accuracy:.1f}%{sure}, "
            f"for {self.flops / 1e6:,.1f} MFLOPs each."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def warning(self) -> str:
        """Why the target is not reached; empty where it is."""
        if self.reached:
            return ""
        if self.confidence is None:
            return (
                f"no price of compute reaches a mean accuracy of {self.asked:g}: the most accurate one is "
                f"used, {self.accuracy:.3f} is expected"
            )
        return (
            f"no price of compute reaches a mean accuracy of {self.asked:g} with a confidence of "
            f"{self.confidence:g}: the most accurate one is used, {self.low or 0.0:.3f} is that sure"
        )


@lru_cache(maxsize=256)
def target_of(frontier: Frontier, accuracy: float, confidence: float | None = None) -> Target:
    """The cheapest prices at which the mean accuracy of a stream is ``accuracy``.

    Raises BudgetError for a confidence of a planner that was fitted before there were bounds.
    """
    low = None if frontier.bounds is None else frontier.bounds.low(confidence or USUAL_CONFIDENCE)
    if confidence is None:
        first, second, share, reached = _expected(frontier, accuracy)
    elif low is None:
        raise BudgetError(
            "a confidence needs a planner that knows how sure its accuracies are, "
            f"got confidence={confidence:g}: make the planner again with planner fit"
        )
    else:
        first, second, share, reached = _certified(low, accuracy)
        if not reached:
            first, second, share, _ = _expected(frontier, 1.0)

    def mean(values: Floats) -> float:
        return float(share * values[first] + (1.0 - share) * values[second])

    return Target(
        asked=accuracy,
        confidence=confidence,
        reached=reached,
        prices=(float(frontier.prices[first]), float(frontier.prices[second])),
        share=share,
        accuracy=mean(frontier.accuracy),
        low=None if low is None else mean(low),
        tokens=mean(frontier.tokens),
        flops=mean(frontier.flops),
    )


def _expected(frontier: Frontier, accuracy: float) -> tuple[int, int, float, bool]:
    """Two places of the grid, the share of the first, and whether the target is reached."""
    hull = _hull(frontier)
    met = frontier.accuracy
    if accuracy <= met[hull[0]]:
        return hull[0], hull[0], 1.0, True
    for cheap, dear in pairwise(hull):
        if accuracy <= met[dear]:
            return dear, cheap, float((accuracy - met[cheap]) / (met[dear] - met[cheap])), True
    return hull[-1], hull[-1], 1.0, False


def _hull(frontier: Frontier) -> list[int]:
    """Places on the upper concave hull of accuracy against FLOPs, from the cheapest to the most accurate.

    Each has a lower price than the one before, so that a higher target never has a higher price.
    """
    cost, met = frontier.flops, frontier.accuracy
    here = int(np.lexsort((-met, cost))[0])
    hull = [here]
    while True:
        better = np.flatnonzero((met[:here] > met[here]) & (cost[:here] > cost[here]))
        if not len(better):
            return hull
        slope = (met[better] - met[here]) / (cost[better] - cost[here])
        here = int(better[slope.argmax()])  # among equals the lowest price: the end of a straight stretch
        hull.append(here)


def _certified(low: Floats, accuracy: float) -> tuple[int, int, float, bool]:
    """As ``_expected``, by fixed-sequence testing from the lowest price on.

    A bound of a split is at least the same split of the bounds, since a standard error is convex.
    """
    failed = np.flatnonzero(low < accuracy)
    stop = int(failed[0]) if len(failed) else len(low)
    if stop == 0:
        return 0, 0, 1.0, False
    if stop == len(low):
        return stop - 1, stop - 1, 1.0, True
    last = stop - 1
    share = float((accuracy - low[stop]) / (low[last] - low[stop]))
    return last, stop, share, True
