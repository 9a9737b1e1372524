"""Deferral curves and their summaries: how accuracy grows with the mean cost that is allowed.

A deferral curve is what a method reaches, (mean cost, mean accuracy), while the price of compute falls and
ever more questions are deferred to dearer plans (Jitkrittum et al., arXiv 2502.08773). Two figures sum it up:

- AIQ, the average improvement in quality of RouterBench (Hu et al., arXiv 2403.12031, section 3): the area
  under the non-decreasing convex hull of the curve between the cheapest and the dearest fixed choice, over
  that range of costs. It is a mean accuracy; unlike ``area`` it is linear in cost. A method that cannot be as
  cheap as the cheapest choice is mixed with answering nothing, which costs nothing; one that cannot spend as
  much as the dearest stays as accurate as it is.
- Quality-neutral cost: the least cost at which a method is as accurate as the most accurate fixed choice,
  over the cost of that choice. Below 1 the same accuracy is had for less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.compute_to_target import least
from planner.evaluation.folds.cross_validation import PLANNER, CrossValidation
from planner.evaluation.intervals import Interval, Resampler

__all__ = ["Deferral", "DeferralCurve", "aiq", "deferral_of", "hull"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferralCurve:
    """One method.

    Parameters
    ----------
    cost, accuracy:
        The curve, in mean samples of the cross-validation's unit and shares of 1, one point per mean budget.
    aiq, above:
        The average improvement in quality, and how far the planner's is above it, paired, with 95% intervals.
    quality_neutral_cost:
        See this module; None where the method is never as accurate.
    """

    cost: tuple[float, ...]
    accuracy: tuple[float, ...]
    aiq: Interval
    above: Interval
    quality_neutral_cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """Deferral curves of a cross-validation.

    Parameters
    ----------
    low, high:
        The range of AIQ: mean costs of the cheapest and the dearest fixed choice, in samples.
    best, best_cost:
        Accuracy of the most accurate fixed choice, and its cost in samples.
    curves:
        Method -> its curve.
    empty:
        Method -> why it has no quality-neutral cost.
    """

    low: float
    high: float
    best: float
    best_cost: float
    curves: Mapping[str, DeferralCurve]
    empty: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def hull(cost: Floats, accuracy: Floats) -> tuple[Floats, Floats]:
    """The corners of the non-decreasing convex hull of points (N,), from cheap to dear.

    It is what mixing two settings at random reaches at best, and never falls with cost.

    >>> cost, accuracy = hull(np.array([1.0, 2.0, 3.0]), np.array([0.4, 0.5, 0.8]))
    >>> cost.tolist(), accuracy.tolist()
    ([1.0, 3.0], [0.4, 0.8])
    """
    corners: list[tuple[float, float]] = []
    for x, y in sorted(zip(cost.tolist(), accuracy.tolist(), strict=True)):
        if corners and y <= corners[-1][1]:
            continue  # dearer and no better
        if corners and x <= corners[-1][0]:
            corners.pop()  # as dear and worse
        while len(corners) > 1 and _below(corners[-2], corners[-1], (x, y)):
            corners.pop()
        corners.append((x, y))
    return np.array([x for x, _ in corners]), np.array([y for _, y in corners])


def aiq(cost: Floats, accuracy: Floats, low: float, high: float) -> float:
    """The average improvement in quality of points (N,) over costs from ``low`` to ``high``.

    >>> round(aiq(np.array([1.0, 2.0, 3.0]), np.array([0.4, 0.9, 0.8]), 1.0, 3.0), 6)
    0.775
    """
    x, y = hull(cost, accuracy)
    # below its cheapest point a method answers some questions only, at random
    x, y = np.concatenate([[0.0], x]), np.concatenate([[0.0], y])
    if high <= low:
        return float(np.interp(low, x, y))
    inside = x[(x > low) & (x < high)]
    grid = np.concatenate([[low], inside, [high]])
    return float(np.trapezoid(np.interp(grid, x, y), grid) / (high - low))


def deferral_of(found: CrossValidation, *, bootstrap: int = 400) -> Deferral:
    """Curves of every method that a cross-validation with ``curve`` budgets has; families are drawn whole.

    Raises ValueError where it has none: ``training.cross_validation`` makes them with ``curves=True``.
    """
    if not found.curve or found.fixed is None:
        raise ValueError("deferral curves need a cross-validation that was made with curves, got one without")
    resampler = Resampler(len(found.problems), clusters=found.families, resamples=bootstrap, seed=found.seed)
    low, high = found.curve[0].budget, found.curve[-1].budget
    means = found.fixed.values.mean(axis=0)
    best = int(means.argmax())
    best_cost = float(found.fixed.flops[:, best].mean())
    stacked = {
        name: (
            np.stack([met.flops[name] for met in found.curve], axis=1),
            np.stack([met.accuracy[name] for met in found.curve], axis=1),
        )
        for name in found.curve[0].accuracy
    }
    points = {name: aiq(*_means(one), low, high) for name, one in stacked.items()}
    drawn = {
        name: np.array(
            [
                aiq(cost, accuracy, low, high)
                for cost, accuracy in zip(*map(resampler.means, one), strict=True)
            ]
        )
        for name, one in stacked.items()
    }
    curves, empty = {}, {}
    for name, one in stacked.items():
        cost, accuracy = _means(one)
        x, y = hull(cost, accuracy)
        neutral = float(least(y, x, means[best]))
        if not np.isfinite(neutral):
            empty[name] = "it is nowhere as accurate as the most accurate fixed choice"
        curves[name] = DeferralCurve(
            cost=tuple((cost / found.unit).tolist()),
            accuracy=tuple(accuracy.tolist()),
            aiq=_interval(points[name], drawn[name]),
            above=_interval(points[PLANNER] - points[name], drawn[PLANNER] - drawn[name]),
            quality_neutral_cost=neutral / best_cost if np.isfinite(neutral) else None,
        )
    return Deferral(
        low=low / found.unit,
        high=high / found.unit,
        best=float(means[best]),
        best_cost=best_cost / found.unit,
        curves=curves,
        empty=empty,
    )


def _below(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the middle of three points lies on or below the line through the others."""
    return (middle[1] - first[1]) * (last[0] - first[0]) <= (last[1] - first[1]) * (middle[0] - first[0])


def _means(one: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    return one[0].mean(axis=0), one[1].mean(axis=0)


def _interval(value: float, drawn: Floats) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))
