"""Expected against actual accuracy, over the choices that were made: calibration, resolution, Brier score.

With y the chance that the answer was right and p the expected accuracy, over ten equal bins of p (Murphy
1973): ECE is the mean distance of expectation and outcome in a bin, resolution the spread of the bins'
outcomes around the mean, the Brier score that of an answer drawn with chance y. Each problem weighs the same
at each budget.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.budget_adherence import BudgetAdherence
from planner.evaluation.intervals import Resampler

__all__ = ["calibration", "reliability"]

Floats = NDArray[np.float64]

_BINS = 10


def calibration(
    adherences: Sequence[BudgetAdherence], problems: int, resampler: Resampler
) -> dict[str, float]:
    """``ece``, ``resolution`` and ``brier`` of decisions at all budgets, each with ``_low`` and ``_high``."""
    sums = _sums(adherences, problems)
    point = _measures(sums.sum(axis=0)[None])[:, 0]
    many = _measures(resampler.means(sums.reshape(problems, -1)).reshape(-1, *sums.shape[1:]))
    out: dict[str, float] = {}
    for name, value, drawn in zip(("ece", "resolution", "brier"), point, many, strict=True):
        low, high = np.quantile(drawn, [0.025, 0.975])
        out |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return out


def reliability(adherences: Sequence[BudgetAdherence], problems: int) -> list[dict[str, float]]:
    """Per bin with anything in it: its share, the mean expectation and the mean outcome."""
    weight, expected, actual, _ = _sums(adherences, problems).sum(axis=0)
    return [
        {
            "share": float(weight[cell] / weight.sum()),
            "promised": float(expected[cell] / weight[cell]),
            "happened": float(actual[cell] / weight[cell]),
        }
        for cell in np.flatnonzero(weight > 0)
    ]


def _sums(adherences: Sequence[BudgetAdherence], problems: int) -> Floats:
    """(P, 4, bins) weight, expectation, outcome and Brier score of each problem in each bin."""
    out = np.zeros((4, problems * _BINS))
    for one in adherences:
        p, y = one.expected, one.actual
        slot = one.problem * _BINS + np.minimum((p * _BINS).astype(np.int64), _BINS - 1)
        brier = y * (1.0 - p) ** 2 + (1.0 - y) * p**2
        for target, values in zip(out, (np.ones_like(p), p, y, brier), strict=True):
            target += np.bincount(slot, one.weight * values, minlength=problems * _BINS)
    return np.asarray(out.reshape(4, problems, _BINS).transpose(1, 0, 2))


def _measures(sums: Floats) -> Floats:
    """(3, N) ECE, resolution and Brier score of (N, 4, bins)."""
    weight, expected, actual, brier = (sums[:, part] for part in range(4))
    total = weight.sum(axis=1)
    mean = actual.sum(axis=1) / total
    spread = np.where(weight > 0, actual / np.where(weight > 0, weight, 1.0) - mean[:, None], 0.0)
    return np.stack(
        [
            np.abs(expected - actual).sum(axis=1) / total,
            (weight * spread**2).sum(axis=1) / total,
            brier.sum(axis=1) / total,
        ]
    )
