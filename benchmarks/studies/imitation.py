"""Learning to decide by classification: imitate, per problem, the option that the log shows to be best.

What ``training.study`` is compared with (``benchmarks/recipes.py``):

- the solve-then-learn recipe (Zhai et al., arXiv 2604.14853): at a price, the Lagrange multiplier of a mean
  budget, each problem's best option follows from its own outcomes; a classifier learns to name it;
- cost-sensitive classification: the same, each example weighed by what a wrong option loses.

Both can decide once, from the question, or in stages like the planner. Every price has classifiers of its
own. Going back through the stages, what probing further is worth to a training problem is what
classifiers made without its fold then meet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.deciding.replay import ReplayOutcome, aligned, follow
from planner.evidence.matrix import Matrix
from training.crossfit import folds_of

__all__ = ["imitate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FOLDS = 3
_TREES = 50


def imitate(
    training: Sequence[Matrix],
    test: Sequence[Matrix],
    prices: Floats,
    groups: Sequence[str],
    *,
    weighed: bool,
    seed: int = 0,
    threads: int = 1,
) -> ReplayOutcome:
    """What classifiers learned on ``training`` meet on ``test``, (P, J) for J ``prices`` per FLOP.

    Parameters
    ----------
    training, test:
        Matrices of the same probes and choices, the question first; one for a decision at once.
    groups:
        What is left out together when training rows are predicted, one name per training problem.
    weighed:
        Whether an example counts by what the mean option loses to the best one.

    Raises ValueError where the probes or choices of the two differ.
    """
    for one, other in zip(training, test, strict=True):
        if (one.probe, one.choices) != (other.probe, other.choices):
            raise ValueError(f"classifiers are tried at the probes they learned, got {other.probe}")
    folds = folds_of(groups, _FOLDS, seed)
    met = [
        _at_price(training, test, float(price), folds, weighed=weighed, seed=seed, threads=threads)
        for price in prices
    ]
    return ReplayOutcome(*(np.stack(column, axis=1) for column in zip(*met, strict=True)))


def _at_price(
    training: Sequence[Matrix],
    test: Sequence[Matrix],
    price: float,
    folds: Ints,
    *,
    weighed: bool,
    seed: int,
    threads: int,
) -> tuple[Floats, Floats, Floats]:
    """Accuracy, tokens and FLOPs (P,) of the test problems."""
    learned: ReplayOutcome | None = None
    met: ReplayOutcome | None = None
    for place in range(len(training) - 1, -1, -1):
        seen, asked = training[place], test[place]
        after = None if learned is None else aligned(learned, seen, training[place + 1])
        utility = seen.values - price * seen.flops
        if after is not None:
            utility = np.concatenate([utility, after.accuracy - price * after.flops], axis=1)
        weights = utility.max(axis=1) - utility.mean(axis=1) if weighed else np.ones(len(utility))
        best, fold = utility.argmax(axis=1), folds[seen.problem]
        left_out = np.empty(len(best), np.int64)
        for f in np.unique(fold):
            rest = fold != f
            left_out[~rest] = _classify(
                rows=seen.features[rest],
                labels=best[rest],
                weights=weights[rest],
                asked=seen.features[~rest],
                seed=seed,
                threads=threads,
            )
        chosen = _classify(
            rows=seen.features, labels=best, weights=weights, asked=asked.features, seed=seed, threads=threads
        )
        learned = follow(seen, [left_out], after)
        later = None if met is None else aligned(met, asked, test[place + 1])
        met = follow(asked, [chosen], later)
    assert met is not None
    rows = (met.accuracy[:, 0], met.tokens[:, 0], met.flops[:, 0])
    accuracy, tokens, flops = (test[0].per_problem(row) for row in rows)
    return accuracy, tokens, flops


def _classify(*, rows: Floats, labels: Ints, weights: Floats, asked: Floats, seed: int, threads: int) -> Ints:
    """The most probable class of each row of ``asked``."""
    import lightgbm

    classes, coded = np.unique(labels, return_inverse=True)
    if len(classes) == 1 or not weights.any():
        return np.full(len(asked), classes[np.bincount(coded).argmax()])
    parameters = {
        "objective": "multiclass",
        "num_class": len(classes),
        "num_leaves": 4,
        "learning_rate": 0.1,
        "min_data_in_leaf": min(20, max(1, len(rows) // 8)),
        "lambda_l2": 5.0,
        "feature_fraction": 0.5,
        "max_bin": 63,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "seed": seed,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(rows, coded, weight=weights * (len(weights) / weights.sum()), params=parameters)
    booster = lightgbm.train(parameters, data, num_boost_round=_TREES)
    return np.asarray(classes[np.asarray(booster.predict(asked)).argmax(axis=1)])
