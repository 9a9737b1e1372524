"""Predicts difficulty (Pass@1) from the question alone: a boosted model of its features, nothing is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.selection import families_apart
from planner.predicting.boosting import Shape, boost
from planner.predicting.lightgbm_text import parse
from planner.predicting.trees import Forest

__all__ = ["predict_difficulty"]

Floats = NDArray[np.float64]

#: small: what a question tells is little
_SHAPE = Shape(trees=40, leaves=6, rate=0.12, min_data=20, l2=10.0, share=0.6)


def predict_difficulty(
    there: Floats, rates: Floats, families: Sequence[str], here: Floats, *, seed: int
) -> tuple[Floats, Floats]:
    """Predicted Pass@1 of training problems, by models that have not seen their family, and of new ones.

    Parameters
    ----------
    there, here:
        (N, F) and (M, F) question features of training problems and of new ones.
    rates:
        (N,) Pass@1 of the training problems.
    """
    left_out = np.empty(len(rates))
    for part in families_apart(families, seed):
        left_out[part.score] = _fitted(there[part.pick], rates[part.pick], seed)(there[part.score])
    return left_out, _fitted(there, rates, seed)(here)


def _fitted(features: Floats, rates: Floats, seed: int) -> Callable[[Floats], Floats]:
    text = boost(features, rates, np.ones(len(rates)), _SHAPE, probability=True, seed=seed, threads=1)
    forest = Forest([parse(text)])
    return lambda rows: 1.0 / (1.0 + np.exp(-np.clip(forest.predict(rows)[:, 0], -40.0, 40.0)))
