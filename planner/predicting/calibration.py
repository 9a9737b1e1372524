"""Calibrated probabilities, and how sure they are, from predictions on folds that were left out.

``Calibration`` is Platt's logistic map (Platt 1999) between predicted and met accuracy, monotone, so
that it changes no order. ``Reliability`` holds, per bin of predicted value, the accuracy that was met
and a 95% interval of it, resampled by problem family: the interval says how far the expected mean
may be off for requests like those of the log, not whether one answer is right.

Predictions are right on average over all choices, but the choices that are made are those that look best, and
what an adaptive vote or a further look costs depends on the question. So what is promised of a decision is
corrected by what such decisions met (``Promises``): per price, for a plan to commit to and for a further
probe, and per domain. The corrections change no decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["Calibration", "Correction", "Promises", "Reliability"]

Floats = NDArray[np.float64]

#: the least slope of a calibration, which keeps it monotone
_FLATTEST = 0.05


@dataclass(frozen=True, slots=True)
class Calibration:
    """p -> sigmoid(slope * logit(p) + offset), with p held inside [0.01, 0.99]. ``slope`` is positive."""

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and np.isfinite(self.offset) and self.slope > 0):
            raise ArtefactError(f"a calibration needs a positive slope and a finite offset, got {self}")

    @classmethod
    def fit(cls, predicted: Floats, met: Floats, weights: Floats) -> Calibration:
        """Newton's method on the weighted cross-entropy, held towards the identity by a small ridge.

        Where predictions say nothing of what was met, or the opposite, the slope stays at ``_FLATTEST``, and
        the offset is the one that is best beside it: the mean of what was met is kept.
        """
        x = _logit(predicted)
        both = np.stack([x, np.ones_like(x)])
        slope, offset = _newton(both, np.zeros_like(x), np.array([1.0, 0.0]), met, weights)
        if slope < _FLATTEST:
            slope = _FLATTEST
            (offset,) = _newton(both[1:], slope * x, np.array([0.0]), met, weights)
        return cls(float(slope), float(offset))

    def apply(self, predicted: Floats) -> Floats:
        """Calibrated accuracies of the same shape."""
        return _sigmoid(self.slope * _logit(predicted) + self.offset)

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return {"slope": self.slope, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of predicted accuracy: their mean prediction, and the ends of the interval of the met mean."""

    predicted: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.predicted), len(self.low), len(self.high)}
        values = (*self.predicted, *self.low, *self.high)
        if len(sizes) != 1 or not self.predicted or not np.isfinite(values).all():
            raise ArtefactError(f"a reliability needs equally many finite bins, got {sorted(sizes)}")
        if list(self.predicted) != sorted(self.predicted):
            raise ArtefactError(f"bins must ascend, got {self.predicted}")

    @classmethod
    def fit(
        cls,
        predicted: Floats,
        met: Floats,
        families: Sequence[str],
        *,
        bins: int = 8,
        resamples: int = 400,
        seed: int = 0,
    ) -> Reliability:
        """``predicted`` and ``met`` (rows,) of left-out folds, with the family of each row."""
        order = np.argsort(predicted, kind="stable")
        rng = np.random.default_rng(seed)
        _, family = np.unique(np.asarray(families), return_inverse=True)
        centre: list[float] = []
        low: list[float] = []
        high: list[float] = []
        for part in np.array_split(order, max(1, min(bins, len(order) // 20))):
            groups = np.unique(family[part], return_inverse=True)[1]
            total = np.bincount(groups, met[part])
            count = np.bincount(groups).astype(np.float64)
            take = rng.integers(0, len(total), (resamples, len(total)))
            means = total[take].sum(axis=1) / count[take].sum(axis=1)
            # a bin in which everything (or nothing) was right still has the uncertainty of its size
            slack = 1.0 / (len(total) + 1.0) / 2.0
            # equal predictions in two bins may have means that differ in the last bit
            at = max(float(predicted[part].mean()), centre[-1] if centre else 0.0)
            alike = slack if float(means.std()) < 1e-9 else 0.0
            low.append(max(0.0, min(float(np.quantile(means, 0.025)) - alike, at)))
            high.append(min(1.0, max(float(np.quantile(means, 0.975)) + alike, at)))
            centre.append(at)
        return cls(tuple(centre), tuple(low), tuple(high))

    def interval(self, predicted: float) -> tuple[float, float]:
        """The 95% interval around one prediction, which it always contains."""
        below = float(np.interp(predicted, self.predicted, np.subtract(self.predicted, self.low)))
        above = float(np.interp(predicted, self.predicted, np.subtract(self.high, self.predicted)))
        return max(0.0, predicted - below), min(1.0, predicted + above)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"predicted": list(self.predicted), "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reliability:
        """The inverse of ``to_json``."""
        return cls(*(tuple(float(x) for x in value[name]) for name in ("predicted", "low", "high")))


def _newton(design: Floats, base: Floats, start: Floats, met: Floats, weights: Floats) -> Floats:
    """Coefficients (K,) of a logistic regression on ``design`` (K, rows), beside logits that are given."""
    theta, ridge = start, 1e-3 * weights.sum()
    for _ in range(50):
        p = _sigmoid(base + theta @ design)
        gradient = design @ (weights * (p - met)) + ridge * (theta - start)
        curvature = (design * (weights * p * (1 - p))) @ design.T + ridge * np.eye(len(start))
        step = np.linalg.solve(curvature, gradient)
        theta = theta - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-10:
            break
    return theta


def _logit(p: Floats) -> Floats:
    inside = np.clip(p, 0.01, 0.99)
    return np.log(inside / (1.0 - inside))


def _sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0)))


@dataclass(frozen=True, slots=True)
class Correction:
    """Of one decision: ``logit`` is added to that of the expected accuracy, costs are multiplied."""

    logit: float = 0.0
    tokens: float = 1.0
    flops: float = 1.0

    def accuracy(self, expected: Floats) -> Floats:
        """Corrected accuracies of the same shape."""
        return _moved(expected, np.array(self.logit))


@dataclass(frozen=True, slots=True, eq=False)
class Promises:
    """Corrections of one stage.

    Parameters
    ----------
    prices:
        (J,) per FLOP, ascending. Between two of them the nearer one counts, in the logarithm.
    domains:
        D names. A row after the last one is for questions of which no domain is known.
    logit, tokens, flops:
        (D + 1, 2, J): by domain, by whether a plan is committed to (0) or a probe follows (1), and by price.
    """

    prices: Floats
    domains: tuple[str, ...]
    logit: Floats
    tokens: Floats
    flops: Floats

    def __post_init__(self) -> None:
        shape = (len(self.domains) + 1, 2, len(self.prices))
        parts = (self.logit, self.tokens, self.flops)
        if not len(self.prices) or {part.shape for part in parts} != {shape}:
            raise ArtefactError(
                f"promises need a number per domain, kind and price, {shape}, got {[p.shape for p in parts]}"
            )
        if not all(np.isfinite(part).all() for part in (self.prices, *parts)):
            raise ArtefactError("the numbers of promises must be finite, got NaN or infinity")
        if (self.tokens <= 0).any() or (self.flops <= 0).any():
            raise ArtefactError("promises multiply costs by numbers above 0, got others")
        if (self.prices <= 0).any() or (np.diff(self.prices) <= 0).any():
            raise ArtefactError(f"prices must ascend from above 0, got {self.prices}")

    def of(self, price: float, *, probes: bool, domain: str | None) -> Correction:
        """The correction of a decision at a price per FLOP."""
        at = (self._row(domain), int(probes), self._place(price))
        return Correction(float(self.logit[at]), float(self.tokens[at]), float(self.flops[at]))

    def accuracy(self, expected: Floats, price: float, domains: Sequence[str]) -> Floats:
        """Corrected accuracies (N,) of plans that were committed to at a price, with the domain of each."""
        rows = np.array([self._row(domain) for domain in domains], np.int64)
        return _moved(expected, self.logit[rows, 0, self._place(price)])

    def _row(self, domain: str | None) -> int:
        return self.domains.index(domain) if domain in self.domains else len(self.domains)

    def _place(self, price: float) -> int:
        if price <= self.prices[0]:
            return 0
        return int(np.abs(np.log(self.prices) - math.log(price)).argmin())


def _moved(expected: Floats, logit: Floats) -> Floats:
    """Accuracies with something added to their logit; 0 and 1 stay what they are."""
    odds = expected * np.exp(logit)
    return np.asarray(odds / (odds + 1.0 - expected))
