"""The choices that nearest neighbours pick, which a shortlist of what is best for groups may lose.

A shortlist by groups sees no further than domains and the length of a question. Neighbours see more, and a
rule that goes by them (``training.portfolio``) can only pick among the choices of a stage. Every problem is
decided by those most like it, itself and what is left out with it apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.evidence.matrix import Matrix
from planner.predicting.neighbours import COUNTS, Likeness
from search.choice import Choice
from training.portfolio import errors_of, sure_prices

__all__ = ["SHARE", "neighbour_picks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: a choice is worth keeping that is picked for this share of the problems at some price
SHARE = 0.05


def neighbour_picks(
    matrix: Matrix, prices: Floats, groups: Sequence[str], families: Sequence[str]
) -> tuple[Choice, ...]:
    """The choices that neighbours pick for at least ``SHARE`` of the problems at some price, the most first.

    None where neighbours, of whatever number is best over all prices, are not surely better than the choice
    that is best on average, by the rule of the portfolio.

    Parameters
    ----------
    matrix:
        At the question alone, a row per problem.
    prices:
        (J,) per FLOP.
    groups, families:
        (P,) what is left out together, and the families by which errors are counted.
    """
    own = np.unique(np.asarray(groups), return_inverse=True)[1]
    outside = len(own) - int(np.bincount(own).max()) or len(own) - 1
    counts = [count for count in COUNTS if count <= outside]
    if not counts:
        return ()
    rows = np.arange(len(own))
    near = _near_picks(matrix, prices, own, counts)
    utility = (
        matrix.values[rows[:, None, None], near] - prices[:, None] * matrix.flops[rows[:, None, None], near]
    )
    best = int(utility.mean(axis=(0, 1)).argmax())
    fixed = _average_picks(matrix, prices, own)
    average = matrix.values[rows[:, None], fixed] - prices * matrix.flops[rows[:, None], fixed]
    gained = (utility[:, :, best] - average).mean(axis=1, keepdims=True)
    if not sure_prices(gained, families, errors_of(len(own))).all():
        return ()
    shares = np.stack([(near[:, :, best] == place).mean(axis=0) for place in range(len(matrix.choices))])
    most = shares.max(axis=1)
    order = sorted(range(len(most)), key=lambda place: (-most[place], place))
    return tuple(matrix.choices[place] for place in order if most[place] >= SHARE)


def _near_picks(matrix: Matrix, prices: Floats, own: Ints, counts: Sequence[int]) -> Ints:
    """(P, J, counts) what so many of the nearest problems of other groups find best."""
    picks = np.empty((len(own), len(prices), len(counts)), np.int64)
    ends = np.array(counts) - 1
    nearest = Likeness.of(matrix.features).nearest(matrix.features, counts[-1], (own, own))
    for row, near in zip(picks, nearest, strict=True):
        values, flops = (table[near].cumsum(axis=0)[ends] for table in (matrix.values, matrix.flops))
        row[:] = (values - prices[:, None, None] * flops).argmax(axis=2)
    return picks


def _average_picks(matrix: Matrix, prices: Floats, own: Ints) -> Ints:
    """(P, J) what is best on average over the problems of other groups; over all where there are none."""
    count = int(own.max()) + 1
    picks = np.empty((count, len(prices)), np.int64)
    for group in range(count):
        rest = own != group
        rest = rest if rest.any() else np.ones(len(own), np.bool_)
        mean = matrix.values[rest].mean(axis=0) - prices[:, None] * matrix.flops[rest].mean(axis=0)
        picks[group] = mean.argmax(axis=1)
    return picks[own]
