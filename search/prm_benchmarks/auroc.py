"""The area under the ROC curve: the chance that a positive outscores a negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["auroc"]


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Probability that a positive outscores a negative, ties counting half; NaN if one is empty.

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = np.sort(np.asarray(negative, float))
    wins = np.searchsorted(ordered, positive, "left")
    ties = np.searchsorted(ordered, positive, "right") - wins
    return float((wins + 0.5 * ties).mean() / len(ordered))
