"""Nearest neighbours on the question: the choice that was best on the k training problems most like this
one.

Likeness is the planner's own (``planner.predicting.neighbours``). k is picked per price on training problems,
each with its own family left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.frontier import Track
from planner.predicting.neighbours import COUNTS, Likeness

__all__ = ["neighbours", "picks_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def neighbours(context: BaselineContext) -> Track:
    """At each price the choice of best mean accuracy less its price over the nearest neighbours."""
    test, training = context.fixed
    here, there = context.questions
    families = np.unique(np.asarray(context.training.data.families), return_inverse=True)[1]
    picks = np.empty((len(test), len(context.prices)), np.int64)
    for part in context.selection:
        seen, known, own = training.rows(part.pick), there[part.pick], families[part.pick]
        likeness = Likeness.of(known)
        counts = [k for k in COUNTS if k <= len(known)]
        tried = picks_of(likeness.nearest(known, counts[-1], (own, own)), seen, counts, context.prices)
        rows = np.arange(len(seen))[:, None, None]
        utility = seen.values[rows, tried] - context.prices[:, None] * seen.flops[rows, tried]
        best = utility.mean(axis=0).argmax(axis=1)
        found = picks_of(likeness.nearest(here[part.score], counts[-1]), seen, counts, context.prices)
        picks[part.score] = found[:, np.arange(len(best)), best]
    return test.track("knn", picks)


def picks_of(nearest: Iterable[Ints], seen: ConfigTable, counts: Sequence[int], prices: Floats) -> Ints:
    """(rows, J, counts) picks by the first of each row's neighbours."""
    out = []
    ends = np.array(counts) - 1
    for near in nearest:
        values, flops = (np.cumsum(table[near], axis=0)[ends] for table in (seen.values, seen.flops))
        out.append((values - prices[:, None, None] * flops).argmax(axis=2))
    return np.stack(out)
