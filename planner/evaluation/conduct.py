"""What a planner does under a mean budget when it is priced as in service: by its own frontier, from
training.

Equal-compute comparisons move the price until the mean is met; here nothing is moved, so this is where
promises are held against what came of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.overhead import with_overhead
from planner.matrix import Matrices
from planner.objective import MeanBudget
from planner.planner import Planner
from planner.replay import replay
from search.result import Spend

__all__ = ["Conduct", "conduct"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Conduct:
    """Decisions under one mean budget.

    Parameters
    ----------
    accuracy, flops:
        (P,) what they met.
    problem, weight, promised, happened:
        (D,) one entry per final decision: its problem, its share of it, the calibrated accuracy that was
        promised and the expected correctness that was met.
    ended:
        Share of problems that ended in each choice, the most frequent first.
    """

    budget: float
    accuracy: Floats
    flops: Floats
    problem: Ints
    weight: Floats
    promised: Floats
    happened: Floats
    ended: dict[str, float]


def conduct(planner: Planner, matrices: Matrices, budget: float) -> Conduct:
    """Replay the planner under a mean budget of so many FLOPs."""
    questions = matrices.experience.questions
    aim = MeanBudget(budget)
    done = replay(planner.stages, matrices, lambda i: planner.rule(aim, None, Spend(), questions[i]))
    problem, weight, promised, happened = [], [], [], []
    ended: dict[str, float] = {}
    for matrix, options, said, was, reached in zip(
        done.matrices, done.made, done.promised, done.happened, done.reached, strict=True
    ):
        final = (reached & (options < len(matrix.choices)))[:, 0]
        problem.append(matrix.problem[final])
        weight.append(np.full(int(final.sum()), 1.0 / matrix.probes))
        promised.append(said[final, 0])
        happened.append(was[final, 0])
        for place, choice in enumerate(matrix.choices):
            share = float((final & (options[:, 0] == place)).mean())
            if share:
                after = f"{choice} after {matrix.look}" if matrix.look.samples else str(choice)
                ended[after] = ended.get(after, 0.0) + share
    return Conduct(
        budget,
        done.met.accuracy[:, 0],
        with_overhead(done, matrices)[:, 0],
        np.concatenate(problem),
        np.concatenate(weight),
        np.concatenate(promised),
        np.concatenate(happened),
        dict(sorted(ended.items(), key=lambda item: -item[1])),
    )
