"""How long deciding takes, measured: the one thing here that is not the same twice."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from planner.planner import Planner
from search.budget import Budget

__all__ = ["decision_ms"]

_WARM = 20


def decision_ms(planner: Planner, questions: Sequence[str], *, count: int) -> dict[str, float]:
    """Median and 99% quantile, in milliseconds, of one decision from a question's text on, warm, in process.

    NaN where ``count`` is 0.
    """
    if not count:
        return {"p50": float("nan"), "p99": float("nan")}
    aim = Budget(mean_flops=16.0 * planner.sample_flops)
    took = []
    for place in range(_WARM + count):
        question = questions[place % len(questions)]
        began = time.perf_counter()
        planner.decide(question, budget=aim)
        took.append(time.perf_counter() - began)
    p50, p99 = np.quantile(took[_WARM:], [0.5, 0.99])
    return {"p50": 1e3 * float(p50), "p99": 1e3 * float(p99)}
