"""Adaptive-Consistency (Aggarwal et al., arXiv 2305.11860): sample until the vote is sure, then stop.

After each sample the chance that the leading answer is the true majority of the two that lead is that of a
Beta(first + 1, second + 1) variable above one half (their Beta stopping criterion); above a threshold the
rule stops, and at a cap it stops anyway. Threshold and cap are picked per price on training problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.baselines.fixed import sizes
from planner.evaluation.baselines.running import Running, stopped
from planner.evaluation.frontier import Track
from planner.evidence.matrix import Matrices

__all__ = ["THRESHOLDS", "adaptive_consistency", "rules", "sureness"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: thresholds that training picks from; 0.95 is the paper's, at 1 only the cap stops
THRESHOLDS = (0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)


def adaptive_consistency(context: BaselineContext) -> Track | None:
    """Any one policy's samples, under every threshold and cap."""

    def table(side: Matrices, policy: str) -> ConfigTable:
        running = context.running(side, policy)
        return stopped(running, rules(running, context.largest(policy)))

    tables = [context.both(partial(table, policy=policy)) for policy in context.policies]
    return context.picked("adaptive_consistency", tables)


def sureness(largest: int) -> Floats:
    """(largest + 1, largest + 1) the chance that the first of two answers is the majority, by their votes.

    >>> sureness(3)[[0, 1, 3], [0, 0, 0]].round(4).tolist()
    [0.5, 0.75, 0.9375]
    """
    votes = np.arange(largest + 1, dtype=np.float64)
    # P(Beta(a, b) > 1/2) = I_1/2(b, a)
    return np.asarray(betainc(votes[None, :] + 1.0, votes[:, None] + 1.0, 0.5))


def rules(running: Running, largest: int) -> Iterator[tuple[str, Ints]]:
    """Each rule's name, and the index of its last draw, (P, R)."""
    sure = sureness(largest)[running.first[:, :, :largest], running.second[:, :, :largest]]
    for threshold in THRESHOLDS:
        enough = sure >= threshold
        enough[:, :, -1] = True
        first = enough.argmax(axis=2)
        for cap in sizes(largest):
            yield f"{running.policy} until {threshold:g}, at most {cap}", np.minimum(first, cap - 1)
