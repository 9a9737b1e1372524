"""Compute to target: the least compute at which a method is as accurate as asked, and how many times as
much its rival needs.

A method reaches every point on the line between two neighbouring settings of its track (it may split its
requests at random), so least compute is read off the line through its means, and where the first setting is
accurate enough, it is that setting's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler

__all__ = ["Multiple", "least", "multiple"]

Floats = NDArray[np.float64]

#: a point below a rival's best accuracy, where its curve is not flat any more
_BELOW = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiple:
    """How many times ours a rival's compute is, with its 95% interval.

    ``accuracy`` is the rival's at its best point, ``flops`` what ours needs to be no less accurate and
    ``rival_flops`` what the rival needs. Where ours never is, ``reached`` is False and ``value`` 0: no
    compute would do.

    At the flat end of a curve much compute buys little, so that the same is told one point below: ``below``
    with its interval is the ratio of what both need to come within a point of the rival's best (0 where ours
    never does).
    """

    value: float
    low: float
    high: float
    reached: bool
    accuracy: float
    flops: float
    rival_flops: float
    below: float
    below_low: float
    below_high: float


def least(accuracy: Floats, flops: Floats, target: Floats) -> Floats:
    """(...,) least FLOPs of accuracy ``target`` (...,) on curves (..., J); infinite where none reaches it.

    >>> curve = np.array([0.2, 0.6]), np.array([1.0, 3.0])
    >>> [float(least(*curve, np.array(target))) for target in (0.1, 0.4, 0.6, 0.7)]
    [1.0, 2.0, 3.0, inf]
    """
    order = np.argsort(flops, axis=-1, kind="stable")
    cost, met = np.take_along_axis(flops, order, -1), np.take_along_axis(accuracy, order, -1)
    enough = met >= target[..., None]
    at = enough.argmax(axis=-1)[..., None]
    before = np.maximum(at - 1, 0)
    high, low = (np.take_along_axis(met, place, -1)[..., 0] for place in (at, before))
    dear, cheap = (np.take_along_axis(cost, place, -1)[..., 0] for place in (at, before))
    rise = high - low
    share = np.where(rise > 0, (target - low) / np.where(rise > 0, rise, 1.0), 1.0)
    # at the first setting and at a setting's own accuracy there is nothing to mix
    between = np.where((at[..., 0] == 0) | (target >= high), dear, cheap + share * (dear - cheap))
    return np.where(enough.any(axis=-1), between, np.inf)


def multiple(rival: Track, ours: Track, resampler: Resampler) -> Multiple:
    """Least compute of the rival at its own best accuracy, over that of ours at an accuracy no lower."""
    theirs, own = _curve(rival), _curve(ours)
    best = theirs[0].max()
    many, more = _curves(rival, resampler), _curves(ours, resampler)
    bests = many[0].max(axis=1)

    def ratio(under: float) -> tuple[float, float, float]:
        value = least(*theirs, best - under) / least(*own, best - under)
        drawn = least(*many, bests - under) / least(*more, bests - under)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return float(value), float(low), float(high)

    value, low, high = ratio(0.0)
    below, below_low, below_high = ratio(_BELOW)
    needed = float(least(*own, best))
    return Multiple(
        value=value,
        low=low,
        high=high,
        reached=bool(np.isfinite(needed)),
        accuracy=float(best),
        flops=needed,
        rival_flops=float(least(*theirs, best)),
        below=below,
        below_low=below_low,
        below_high=below_high,
    )


def _curve(track: Track) -> tuple[Floats, Floats]:
    return track.accuracy.mean(axis=0), track.flops.mean(axis=0)


def _curves(track: Track, resampler: Resampler) -> tuple[Floats, Floats]:
    """(resamples, J) each."""
    return resampler.means(track.accuracy), resampler.means(track.flops)
