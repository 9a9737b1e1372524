"""The static ceiling: the best fixed choice of each kind of question, picked on the very problems that it is
scored on. No choice that is made before anything is drawn, by the kind and the difficulty of a question, is
better on average; nobody knows it beforehand.

A kind is the domain of a problem with its difficulty bin: Pass@1 of the main policy over its whole pool, by
the absolute thresholds of ``bins``. Kinds that are too small to tell a good choice from a lucky one fall back
on their domain, and small domains on all problems. An oracle that picks per problem knows how the greedy
answer to each question came out; this ceiling does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.bins import THRESHOLDS
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.frontier import Track
from planner.evidence.training_data import TrainingData

__all__ = ["ENOUGH", "STATIC_CEILING", "kinds_of", "static_ceiling"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: its name among methods; it is no registered baseline
STATIC_CEILING = "static_ceiling"

#: problems of a kind from which it has a choice of its own
ENOUGH = 20


def static_ceiling(table: ConfigTable, data: TrainingData, prices: Floats) -> Track:
    """Per kind and price the choice with the best mean accuracy less its price, on the test itself.

    Parameters
    ----------
    table:
        Every fixed choice of ``data``, in the order of its problems.
    prices:
        (J,) accuracy per FLOP.
    """
    picks = np.empty((len(table), len(prices)), np.int64)
    kinds = kinds_of(data)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        mean = table.values[rows].mean(axis=0)[:, None]
        picks[rows] = (mean - prices * table.flops[rows].mean(axis=0)[:, None]).argmax(axis=0)
    return table.track(STATIC_CEILING, picks)


def kinds_of(data: TrainingData, *, enough: int = ENOUGH) -> Ints:
    """(P,) the kind of each problem: its domain and difficulty bin where these are ``enough`` problems, else
    its domain, else one kind for all that are left."""
    rate = data.graded(data.pools[data.main].codes).mean(axis=1)
    # a rate of exactly a threshold is of the easier bin
    difficulty = np.searchsorted(np.asarray(THRESHOLDS), rate, side="right")
    domain = np.unique(np.asarray(data.domains), return_inverse=True)[1].astype(np.int64)
    bins = len(THRESHOLDS) + 1
    fine = 1 + domain.max() + 1 + domain * bins + difficulty
    coarse = 1 + domain
    kinds = _where_enough(fine, coarse, enough)
    return _where_enough(kinds, np.zeros_like(kinds), enough)


def _where_enough(kinds: Ints, otherwise: Ints, enough: int) -> Ints:
    """``kinds`` where so many problems share one, else ``otherwise``."""
    return np.where(np.bincount(kinds)[kinds] >= enough, kinds, otherwise)
