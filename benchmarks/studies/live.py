"""Live runs against what the evaluation expected: the same problems, the same budget, real samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.budget_adherence import BudgetAdherence
from planner.evaluation.intervals import Interval
from planner.planner import Planner
from planner.solving.solver import solve
from search.budget import Budget
from search.errors import LogError
from search.grading.registry import domain
from search.problem import Problem
from search.strategies.protocol import Setting
from search.sync import run_sync

__all__ = ["Live", "live"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """So many problems solved at a mean ``budget`` (FLOPs).

    ``accuracy`` and ``flops`` were met, the others expected by the replay; ``difference`` of accuracies and
    ``flops_ratio`` (met over expected) are paired by problem, with normal 95% intervals.
    """

    problems: int
    budget: float
    accuracy: Interval
    accuracy_promised: float
    difference: Interval
    flops: float
    flops_promised: float
    flops_ratio: Interval

    @property
    def as_promised(self) -> bool:
        """Whether the interval of the difference holds 0."""
        return self.difference.low <= 0.0 <= self.difference.high


def live(
    planner: Planner,
    settings: Mapping[tuple[str, str | None], Setting],
    problems: Sequence[Problem],
    places: Sequence[int],
    expected: BudgetAdherence,
    *,
    seed: int = 0,
    allow_foreign: bool = False,
) -> Live:
    """Solve ``problems``, which stand at ``places`` of the log that ``expected`` was replayed on.

    Draws are fresh: a live run shares no sample with the log. Raises LogError for fewer than two problems.
    """
    if len(problems) < 2 or len(problems) != len(places):
        raise LogError(f"live runs need two problems or more, each with a place, got {len(problems)}")
    right, spent = np.zeros((2, len(problems)))
    for at, problem in enumerate(problems):
        found = run_sync(
            solve(
                problem,
                planner,
                settings,
                budget=Budget(mean_flops=expected.budget),
                seed=seed,
                allow_foreign=allow_foreign,
                early_stopping=None,  # as what was replayed
            )
        )
        right[at] = domain(problem.domain).grade(problem, found.answer)
        spent[at] = found.spend.flops
    where = np.asarray(places)
    accuracy, flops = expected.accuracy[where], expected.flops[where]
    return Live(
        problems=len(problems),
        budget=expected.budget,
        accuracy=_normal(right),
        accuracy_promised=float(accuracy.mean()),
        difference=_normal(right - accuracy),
        flops=float(spent.mean()),
        flops_promised=float(flops.mean()),
        flops_ratio=_normal(1.0 + (spent - flops) / flops.mean()),
    )


def _normal(values: Floats) -> Interval:
    half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)
