"""A mean budget kept over a stream of requests, as ``planner.solving.stream`` keeps it in service.

The price comes from the planner's own frontier and is corrected after every request by what has been spent so
far. Requests come in random order; each spends what the replayed decisions met on it at its price, on average
over probes and continuations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.deciding.budgeting import rule
from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.overhead import with_overhead
from planner.evidence.matrix import Matrices
from planner.planner import Planner
from planner.solving.stream import Stream
from search.budget import Budget
from search.result import Spend

__all__ = ["streamed"]

Floats = NDArray[np.float64]


def streamed(planner: Planner, matrices: Matrices, budgets: Sequence[float], *, seed: int = 0) -> list[float]:
    """Mean FLOPs per request of a stream under each mean budget."""
    prices = planner.frontier.prices
    done = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices])
    spent = with_overhead(done, matrices)
    order = np.random.default_rng(seed).permutation(len(spent))
    return [_mean(planner, matrices.data.questions, spent, order.tolist(), budget) for budget in budgets]


def _mean(
    planner: Planner, questions: Sequence[str], spent: Floats, order: Sequence[int], budget: float
) -> float:
    stream = Stream(planner, Budget(mean_flops=budget))
    scale = np.log(planner.frontier.prices)
    for place in order:
        found = rule(planner, stream.budget(), questions[place])
        # the frontier's prices are the grid; between two of them what was met lies between
        cost = float(np.interp(np.log(max(found.price_per_flop, 1e-300)), scale, spent[place]))
        stream.settle(Spend(flops=cost))
    return stream.mean
