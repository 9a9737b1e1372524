"""The probe rule: draw four; if they agree stop, else best-of-n or a vote over n, whichever training finds
better at the price. What people do by hand; n is any that was logged.
"""

from __future__ import annotations

import numpy as np

from planner.evaluation.board import Board
from planner.evaluation.contest import Contest
from planner.evaluation.frontier import Track
from planner.features.probe import AGREEMENT
from planner.labels import Look
from planner.matrix import Matrices
from search.choice import Choice
from search.plan import Plan

__all__ = ["probe_rule"]


def probe_rule(contest: Contest, policy: str | None = None, *, k: int = 4) -> Track | None:
    """Draw ``k`` samples of a policy (the main one) first. None where no pool or no logged plan has room."""
    name = contest.experience.main if policy is None else policy
    if any(side.experience.pools[name].draws <= k for side in contest.sides):
        return None
    further = [
        c
        for c in contest.experience.choices
        if c.policy == name and c.plan.strategy in ("majority", "best_of_n") and c.plan.n > k
    ]
    if not further:
        return None
    return contest.picked("probe_rule", [contest.both(lambda side: _board(side, Look(name, k), further))])


def _board(side: Matrices, look: Look, further: list[Choice]) -> Board:
    stop = Choice(look.policy, None, Plan.of("majority", n=look.samples))
    matrix = side.at(look, (stop, *further))
    signals = matrix.features.shape[1] - len(AGREEMENT)
    unanimous = matrix.features[:, signals + AGREEMENT.index("unanimous"), None] > 0.5

    def met(values: np.ndarray) -> np.ndarray:
        return matrix.per_problem(np.where(unanimous, values[:, :1], values))

    return Board(
        tuple(f"{choice} unless unanimous" for choice in (stop, *further)),
        met(matrix.values),
        met(matrix.paid_tokens[:, None] + matrix.tokens),
        met(matrix.paid_flops[:, None] + matrix.flops),
    )
