"""Nearest neighbours on the question: the choice that was best on the k training problems most like this
one.

Distance is Euclidean over standardised question features (the planner's own: surface and n-grams), the
yardstick that learned routers often do not pass (arXiv 2606.07587). k is picked per price on training
problems, each with its own family left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.config_table import ConfigTable
from planner.evaluation.frontier import Track

__all__ = ["COUNTS", "neighbours"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: numbers of neighbours that training picks from
COUNTS = (1, 3, 5, 10, 20, 40, 80, 160)

#: rows worked on at once: bounds the memory
_CHUNK = 256


def neighbours(context: BaselineContext) -> Track:
    """At each price the choice of best mean accuracy less its price over the nearest neighbours."""
    test, training = context.fixed
    here, there = context.questions
    families = np.unique(np.asarray(context.training.data.families), return_inverse=True)[1]
    picks = np.empty((len(test), len(context.prices)), np.int64)
    for part in context.selection:
        seen = training.rows(part.pick)
        centre, scale = there[part.pick].mean(axis=0), there[part.pick].std(axis=0)
        scale = np.where(scale > 1e-9, scale, np.inf)  # what never varies tells nothing
        known, asked = (there[part.pick] - centre) / scale, (here[part.score] - centre) / scale
        counts = [k for k in COUNTS if k <= len(known)]
        own = families[part.pick]
        tried = _picks(
            asked=known, known=known, seen=seen, counts=counts, prices=context.prices, families=(own, own)
        )
        rows = np.arange(len(seen))[:, None, None]
        utility = seen.values[rows, tried] - context.prices[:, None] * seen.flops[rows, tried]
        best = utility.mean(axis=0).argmax(axis=1)
        found = _picks(
            asked=asked, known=known, seen=seen, counts=counts, prices=context.prices, families=None
        )
        picks[part.score] = found[:, np.arange(len(best)), best]
    return test.track("knn", picks)


def _picks(
    *,
    asked: Floats,
    known: Floats,
    seen: ConfigTable,
    counts: Sequence[int],
    prices: Floats,
    families: tuple[Ints, Ints] | None,
) -> Ints:
    """(rows, J, counts) picks; with ``families`` nobody is a neighbour within its own."""
    out = np.empty((len(asked), len(prices), len(counts)), np.int64)
    squares = (known**2).sum(axis=1)
    for begin in range(0, len(asked), _CHUNK):
        part = asked[begin : begin + _CHUNK]
        distance = squares - 2.0 * part @ known.T
        if families is not None:
            same = families[0][begin : begin + len(part), None] == families[1]
            # a log of one family: only the problem itself is left out
            same = np.where(
                same.all(axis=1)[:, None],
                np.arange(len(known)) == np.arange(begin, begin + len(part))[:, None],
                same,
            )
            distance = np.where(same, np.inf, distance)
        most = counts[-1]
        near = np.argpartition(distance, min(most, distance.shape[1] - 1), axis=1)[:, :most]
        near = np.take_along_axis(
            near, np.take_along_axis(distance, near, axis=1).argsort(axis=1, kind="stable"), axis=1
        )
        values, flops = np.zeros((2, len(part), len(seen.settings)))
        before = 0
        for place, count in enumerate(counts):
            block = near[:, before:count]
            values += seen.values[block].sum(axis=1)
            flops += seen.flops[block].sum(axis=1)
            before = count
            for j, price in enumerate(prices):
                out[begin : begin + len(part), j, place] = (values - price * flops).argmax(axis=1)
    return out
