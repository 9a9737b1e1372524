"""Area under accuracy against log-FLOPs: mean accuracy over budgets that are spread evenly on a log scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler

__all__ = ["Area", "area"]

Floats = NDArray[np.float64]

_STEPS = 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Mean accuracy between the least and the largest budget, with its interval, and how far the planner is
    above it, paired, with the interval of that."""

    value: float
    low: float
    high: float
    planner_above: float
    above_low: float
    above_high: float


def area(track: Track, planner: Track, budgets: Sequence[float], resampler: Resampler) -> Area:
    """The area of a track beside the planner's, from the least of ``budgets`` (FLOPs) to the largest."""
    theirs, ours = (_mean(one, budgets) for one in (track, planner))
    own, above = resampler.interval(theirs), resampler.interval(ours - theirs)
    return Area(
        value=own.value,
        low=own.low,
        high=own.high,
        planner_above=above.value,
        above_low=above.low,
        above_high=above.high,
    )


def _mean(track: Track, budgets: Sequence[float]) -> Floats:
    """(P,) the trapezoid rule over the log of the budget."""
    grid = np.geomspace(min(budgets), max(budgets), _STEPS)
    weights = np.ones(_STEPS)
    weights[[0, -1]] = 0.5
    met = np.stack([track.at(float(budget))[0] for budget in grid], axis=1)
    return np.asarray(met @ (weights / weights.sum()))
