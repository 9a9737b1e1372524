"""What deciding costs in FLOPs, so that a planner is charged for itself.

An upper estimate, counted by hand: a decision walks some hundred small trees (a comparison and an addition
per level, under 10^4 together) and mixes a few factors into some tens of choices; a question's hashed
n-grams take about two per character, each added into a dozen dimensions. Beside a sample of the smallest
lab policy, 10^7 FLOPs, it is nothing; it is charged all the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.deciding.replay import Replay
from planner.evidence.matrix import Matrices

__all__ = ["PER_CHARACTER", "PER_DECISION", "with_overhead"]

Floats = NDArray[np.float64]

#: FLOPs of one decision, its features included
PER_DECISION = 20_000.0

#: FLOPs of reading the question, once per request
PER_CHARACTER = 100.0


def with_overhead(done: Replay, matrices: Matrices) -> Floats:
    """(P, J) FLOPs that the replayed decisions met, deciding included."""
    characters = np.array([len(question) for question in matrices.data.questions], np.float64)
    spent = done.met.flops + PER_CHARACTER * characters[:, None]
    for matrix, reached in zip(done.matrices, done.reached, strict=True):
        spent = spent + PER_DECISION * matrix.per_problem(reached.astype(np.float64))
    return np.asarray(spent)
