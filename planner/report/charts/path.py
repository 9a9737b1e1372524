"""A method's line as it is drawn: settings, and what lies between two of them."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, log

import numpy as np

from planner.report.findings import Line

__all__ = ["marks", "path"]

#: points lie no further apart than this, as a ratio of costs
_STRIDE = 1.12


def path(line: Line) -> list[dict[str, float]]:
    """Points (cost, accuracy, low, high; accuracies in %) to be joined by straight strokes on a log scale.

    Requests are split between two settings, so a line is straight in cost and bent in its logarithm; a line
    of steps is level up to the next setting.
    """
    cost = np.array(line.cost)
    parts = [np.array(part) for part in (line.accuracy, line.low, line.high)]
    if line.steps:
        at = np.repeat(np.arange(len(cost)), 2)
        costs, values = cost[at[1:]], [part[at[:-1]] for part in parts]
    else:
        inner = [np.geomspace(a, b, 1 + max(1, ceil(log(b / a) / log(_STRIDE)))) for a, b in pairwise(cost)]
        costs = np.unique(np.concatenate([cost, *inner]))
        values = [np.interp(costs, cost, part) for part in parts]
    return [
        {"cost": float(c), "accuracy": 100 * float(a), "low": 100 * float(low), "high": 100 * float(high)}
        for c, a, low, high in zip(costs, *values, strict=True)
    ]


def marks(line: Line) -> list[dict[str, float]]:
    """Points of the line at powers of two and at its end, to tell lines apart by their marks."""
    if line.steps:
        wanted = np.array(line.cost)
    else:
        first, last = np.ceil(np.log2(line.cost[0]) - 1e-9), np.floor(np.log2(line.cost[-1]) + 1e-9)
        wanted = np.unique(np.append(2.0 ** np.arange(first, last + 1.0), line.cost[-1]))
    values = [np.interp(wanted, line.cost, part) for part in (line.accuracy, line.low, line.high)]
    return [
        {"cost": float(c), "accuracy": 100 * float(a), "low": 100 * float(low), "high": 100 * float(high)}
        for c, a, low, high in zip(wanted, *values, strict=True)
    ]
