"""Early-stopping self-consistency (Li et al., arXiv 2401.10480): sample in windows, stop when one agrees.

Samples come w at a time; when all answers of a window are the same readable one the rule stops, and at a
cap it stops anyway; the answer is the vote over everything drawn. Window and cap are picked per price on
training.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.baselines.fixed import sizes
from planner.evaluation.baselines.running import Running, stopped
from planner.evaluation.frontier import Track
from planner.evidence.matrix import Matrices

__all__ = ["WINDOWS", "early_stopping", "rules"]

Ints = NDArray[np.int64]

#: windows that training picks from; 5 and 8 are the paper's
WINDOWS = (2, 3, 4, 5, 8)


def early_stopping(context: BaselineContext) -> Track | None:
    """Any one policy's samples, under every window and cap."""

    def table(side: Matrices, policy: str) -> ConfigTable:
        running = context.running(side, policy)
        return stopped(running, rules(running, context.largest(policy)))

    tables = [context.both(partial(table, policy=policy)) for policy in context.policies]
    return context.picked("early_stopping", tables)


def rules(running: Running, largest: int) -> Iterator[tuple[str, Ints]]:
    """Each rule's name, and the index of its last draw, (P, R)."""
    alike = running.alike[:, :, :largest]
    ends = np.arange(1, largest + 1)
    # a policy of one sample has no window of two: its only rule is to take that sample
    for window in [size for size in WINDOWS if size <= largest] or [1]:
        enough = (alike >= window) & (ends % window == 0)
        enough[:, :, -1] = True
        first = enough.argmax(axis=2)
        for cap in sizes(largest):
            if cap >= window:
                yield f"{running.policy} in windows of {window}, at most {cap}", np.minimum(first, cap - 1)
