"""Whether a stream of requests under a target accuracy is right as often as was asked, and what it costs.

A stream is split at random between two prices (``planner.predicting.targets``); here each problem counts with
the shares of both, which is the mean over all splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.deciding.budgeting import target
from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.intervals import Interval, Resampler
from planner.evaluation.overhead import with_overhead
from planner.evidence.matrix import Matrices
from planner.planner import Planner
from planner.predicting.targets import Target
from search.budget import Budget

__all__ = ["asked_of", "streams", "target_accuracy"]

Floats = NDArray[np.float64]


def asked_of(planner: Planner, count: int = 5) -> tuple[float, ...]:
    """Targets that this planner should reach, spread evenly between its cheapest and its best.

    Whole percents, without the ends.
    """
    met = planner.frontier.accuracy
    low = float(met[int(planner.frontier.flops.argmin())])
    found = np.linspace(low, max(float(met.max()), low), count + 2)[1:-1]
    rounded = dict.fromkeys(float(round(each, 2)) for each in found)
    return tuple(each for each in rounded if 0.0 < each <= 1.0)  # a planner that is always wrong has none


def streams(
    planner: Planner, matrices: Matrices, budgets: Sequence[Budget]
) -> list[tuple[Target, Floats, Floats]]:
    """Of each budget with an accuracy: what is promised, and (P,) accuracy and FLOPs that were met."""
    prices = planner.frontier.prices
    done = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices])
    spent = with_overhead(done, matrices)
    out = []
    for budget in budgets:
        promised = target(planner, budget)
        if promised is None:
            raise ValueError(f"a stream is met at a target, got {budget}")
        first, second = (int(np.abs(prices - price).argmin()) for price in promised.prices)
        shares = (promised.share, 1.0 - promised.share)
        accuracy, flops = (
            shares[0] * values[:, first] + shares[1] * values[:, second]
            for values in (done.met.accuracy, spent)
        )
        out.append((promised, accuracy, flops))
    return out


def target_accuracy(
    planner: Planner, matrices: Matrices, resampler: Resampler, asked: Sequence[float] | None = None
) -> tuple[dict[str, Any], ...]:
    """A row per target: ``asked``, ``reached`` (by any price), ``expected``, what was met (``value``,
    ``low``, ``high``), ``flops_expected`` and ``flops_met``, and accuracies met by ``domains``."""
    wanted = asked_of(planner) if asked is None else asked
    homes = np.array(matrices.data.domains)
    rows = []
    for promised, accuracy, flops in streams(planner, matrices, [Budget(accuracy=a) for a in wanted]):
        met: Interval = resampler.interval(accuracy)
        rows.append(
            {
                "asked": promised.asked,
                "reached": promised.reached,
                "expected": promised.accuracy,
                "value": met.value,
                "low": met.low,
                "high": met.high,
                "flops_expected": promised.flops,
                "flops_met": float(flops.mean()),
                "domains": {str(name): float(accuracy[homes == name].mean()) for name in np.unique(homes)},
            }
        )
    return tuple(rows)
