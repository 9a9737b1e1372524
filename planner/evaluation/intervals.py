"""Paired bootstrap over problems, families clustered if asked for (Efron and Tibshirani 1993, chapter 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ENOUGH_FAMILIES", "Interval", "Resampler", "clustered_error", "says_something"]

Floats = NDArray[np.float64]

#: fewer clusters than this make a bootstrap of clusters too sure (Cameron, Gelbach and Miller 2008)
ENOUGH_FAMILIES = 30


#: widest intervals that say something, by the unit of their figure; of multiples, the ratio of their ends
_WIDEST = {"%": 100.0, "points": 40.0, "": 0.5}
_MULTIPLE = 10.0


def says_something(low: float | None, high: float | None, unit: str) -> bool:
    """Whether an interval is narrow enough for its figure to be told.

    A share or a gain in percent may be 100 wide, points 40, a plain number 0.5, and a multiple (``times``)
    tenfold. What has no interval, or one end only (None), is told.

    >>> says_something(46.0, 4013.0, "%"), says_something(50.0, 70.0, "%")
    (False, True)
    >>> says_something(1.2, 14.0, "times"), says_something(2.0, None, "times")
    (False, True)
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return True
    if unit == "times":
        return low > 0.0 and high <= _MULTIPLE * low
    return high - low <= _WIDEST.get(unit, math.inf)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and the ends of its 95% interval."""

    value: float
    low: float
    high: float


class Resampler:
    """Draws the same resamples for everything it is asked about, so that differences are paired.

    Parameters
    ----------
    problems:
        How many there are.
    clusters:
        One label per problem: whole clusters are drawn. None: problems are.
    resamples, seed:
        How many and which.
    """

    def __init__(
        self, problems: int, *, clusters: Sequence[str] | None = None, resamples: int = 2000, seed: int = 0
    ) -> None:
        if problems < 1 or resamples < 1:
            raise ValueError(f"a bootstrap needs problems and resamples, got {problems} and {resamples}")
        rng = np.random.default_rng(seed)
        labels = (
            np.arange(problems)
            if clusters is None
            else np.unique(np.asarray(clusters), return_inverse=True)[1]
        )
        if len(labels) != problems:
            raise ValueError(f"every problem needs one cluster, got {len(labels)} for {problems}")
        count = int(labels.max()) + 1
        drawn = rng.integers(0, count, (resamples, count))
        times = np.stack([np.bincount(row, minlength=count) for row in drawn])[:, labels]
        self._weights = times / times.sum(axis=1, keepdims=True)

    @classmethod
    def of_families(cls, families: Sequence[str], *, resamples: int = 2000, seed: int = 0) -> Resampler:
        """Draws whole families where there are at least ``ENOUGH_FAMILIES``, else problems."""
        clusters = families if len(set(families)) >= ENOUGH_FAMILIES else None
        return cls(len(families), clusters=clusters, resamples=resamples, seed=seed)

    def means(self, values: Floats) -> Floats:
        """(resamples, ...) weighted means of values (P, ...)."""
        return np.asarray(self._weights @ values)

    def interval(self, values: Floats) -> Interval:
        """The mean of values (P,) with its percentile interval."""
        low, high = np.quantile(self.means(values), [0.025, 0.975])
        return Interval(float(values.mean()), float(low), float(high))

    def ratio(self, top: Floats, bottom: Floats) -> Interval:
        """Ratio of sums; NaN where the bottom sums to nothing. Resamples without a bottom are left out."""
        total = float(bottom.mean())
        if total <= 1e-12:
            return Interval(float("nan"), float("nan"), float("nan"))
        above, below = self.means(top), self.means(bottom)
        ratios = above[below > 1e-12] / below[below > 1e-12]
        low, high = np.quantile(ratios, [0.025, 0.975])
        return Interval(float(top.mean()) / total, float(low), float(high))


def clustered_error(values: Floats, families: Sequence[str]) -> Floats:
    """The standard error of the mean of ``values`` (P, ...) over problems, families drawn whole.

    Shape (...), in the unit of the values (Liang and Zeger 1986, without a correction for few clusters).

    >>> clustered_error(np.array([1.0, 3.0]), ["a", "b"]).round(4).tolist()
    0.7071
    """
    at = np.unique(np.asarray(families), return_inverse=True)[1]
    sums = np.zeros((int(at.max()) + 1, *values.shape[1:]))
    np.add.at(sums, at, values - values.mean(axis=0))
    return np.asarray(np.sqrt((sums**2).sum(axis=0)) / len(values))
