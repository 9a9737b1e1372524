"""Budget adherence: what a planner spends and scores under a mean budget, priced by its own frontier as in
service.

Equal-compute comparisons move the price until the mean is met; here nothing is moved, so this is where
expected and actual values are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.deciding.budgeting import rule
from planner.deciding.replay import replay
from planner.evaluation.overhead import with_overhead
from planner.evidence.matrix import Matrices
from planner.planner import Planner
from search.budget import Budget

__all__ = ["BudgetAdherence", "budget_adherence"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BudgetAdherence:
    """Decisions under one mean budget.

    Parameters
    ----------
    accuracy, flops:
        (P,) what they met.
    problem, weight, expected, actual:
        (D,) one entry per final decision: its problem, its share of it, the calibrated accuracy that was
        expected and the mean correctness that was met.
    ended:
        Share of problems that ended in each choice, the most frequent first.
    """

    budget: float
    accuracy: Floats
    flops: Floats
    problem: Ints
    weight: Floats
    expected: Floats
    actual: Floats
    ended: dict[str, float]


def budget_adherence(planner: Planner, matrices: Matrices, budget: float) -> BudgetAdherence:
    """Replay the planner under a mean budget of so many FLOPs."""
    questions = matrices.data.questions
    aim = Budget(mean_flops=budget)
    done = replay(planner.stages, matrices, lambda i: rule(planner, aim, questions[i]))
    problem, weight, expected, actual = [], [], [], []
    ended: dict[str, float] = {}
    for matrix, options, said, was, reached in zip(
        done.matrices, done.made, done.expected, done.actual, done.reached, strict=True
    ):
        final = (reached & (options < len(matrix.choices)))[:, 0]
        problem.append(matrix.problem[final])
        weight.append(np.full(int(final.sum()), 1.0 / matrix.probes))
        expected.append(said[final, 0])
        actual.append(was[final, 0])
        for place, choice in enumerate(matrix.choices):
            share = float((final & (options[:, 0] == place)).mean())
            if share:
                after = f"{choice} after {matrix.probe}" if matrix.probe.samples else str(choice)
                ended[after] = ended.get(after, 0.0) + share
    return BudgetAdherence(
        budget=budget,
        accuracy=done.met.accuracy[:, 0],
        flops=with_overhead(done, matrices)[:, 0],
        problem=np.concatenate(problem),
        weight=np.concatenate(weight),
        expected=np.concatenate(expected),
        actual=np.concatenate(actual),
        ended=dict(sorted(ended.items(), key=lambda item: -item[1])),
    )
