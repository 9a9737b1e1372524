"""Partial pooling: a new choice's weights from few problems, held towards those of the known choices.

Every known choice is a point in the space of weights: what its predicted accuracy is, as a logit, in terms of
the same columns. Their mean and covariance are the prior of a new choice (empirical Bayes), so that it is
taken to be like them as far as its problems do not say otherwise, and most alike in what they have in common.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["logits", "pooled_weights"]

Floats = NDArray[np.float64]

#: standard deviations of the prior beyond those of the known choices: of every weight, and of the first one,
#: which says how good a choice is on average
_SPREAD, _LEVEL = 0.1, 1.0
#: an accuracy is held inside this before its logit is taken
_LEAST = 0.02
_STEPS = 50
#: keeps columns that do not vary from dividing by nothing
_SMALL = 1e-5


def logits(accuracy: Floats) -> Floats:
    """Logits of accuracies, held away from 0 and 1."""
    inside = np.clip(accuracy, _LEAST, 1.0 - _LEAST)
    return np.asarray(np.log(inside / (1.0 - inside)))


def pooled_weights(design: Floats, known: Floats, right: Floats, weights: Floats) -> Floats:
    """(M, K) the most likely weights of M new choices.

    Parameters
    ----------
    design:
        (rows, K), whose first column is one.
    known:
        (rows, C) predicted accuracies of the known choices.
    right:
        (rows, M) how often the new choices were right.
    weights:
        (rows,) how much each row counts.
    """
    centre, scale = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    moved = np.column_stack([np.ones(len(design)), (design[:, 1:] - centre) / scale])
    width = moved.shape[1]
    share = (weights / weights.sum())[:, None]
    held = moved.T @ (moved * share) + _SMALL * np.eye(width)
    told = np.linalg.solve(held, moved.T @ (logits(known) * share))
    prior = np.zeros((width, width)) if told.shape[1] < 2 else np.cov(told)
    prior = prior + np.diag([_LEVEL**2, *[0.0] * (width - 1)]) + _SPREAD**2 * np.eye(width)
    mean: Floats = np.asarray(told.mean(axis=1), np.float64)
    precision: Floats = np.asarray(np.linalg.inv(prior), np.float64)
    found = np.stack([_most_likely(moved, one, weights, mean, precision) for one in right.T])
    out = np.empty_like(found)
    out[:, 1:] = found[:, 1:] / scale
    out[:, 0] = found[:, 0] - out[:, 1:] @ centre
    return out


def _most_likely(design: Floats, right: Floats, weights: Floats, mean: Floats, precision: Floats) -> Floats:
    """(K,) the mode of a logistic regression with a normal prior, by Newton's method."""
    found = mean.copy()
    for _ in range(_STEPS):
        expected = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -40.0, 40.0)))
        slope = design.T @ (weights * (expected - right)) + precision @ (found - mean)
        bend = (design * (weights * expected * (1.0 - expected))[:, None]).T @ design + precision
        step = np.linalg.solve(bend, slope)
        found = found - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    return found
