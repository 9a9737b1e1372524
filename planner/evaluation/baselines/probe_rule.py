"""The probe rule: draw four; if they agree stop, else best-of-n or a vote over n, whichever training finds
better at the price. What people do by hand; n is any that was logged.
"""

from __future__ import annotations

import numpy as np

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.frontier import Track
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe
from planner.features.probe import AGREEMENT
from planner.features.thoughts import THOUGHTS
from search.choice import Choice
from search.plan import Plan

__all__ = ["probe_rule"]


def probe_rule(context: BaselineContext, policy: str | None = None, *, k: int = 4) -> Track | None:
    """Draw ``k`` samples of a policy (the main one) first. None where no pool or no logged plan has room."""
    name = context.data.main if policy is None else policy
    if any(side.data.pools[name].draws <= k for side in context.sides):
        return None
    further = [
        c
        for c in context.data.choices
        if c.policy == name and c.plan.is_pooled and c.plan.vote != "weighted" and c.plan.n > k
    ]
    if not further:
        return None
    return context.picked("probe_rule", [context.both(lambda side: _table(side, Probe(name, k), further))])


def _table(side: Matrices, probe: Probe, further: list[Choice]) -> ConfigTable:
    stop = Choice(probe.policy, None, Plan.of("majority", n=probe.samples))
    matrix = side.at(probe, (stop, *further))
    signals = matrix.features.shape[1] - len(AGREEMENT) - (len(THOUGHTS) if matrix.thoughts else 0)
    unanimous = matrix.features[:, signals + AGREEMENT.index("unanimous"), None] > 0.5

    def met(values: np.ndarray) -> np.ndarray:
        return matrix.per_problem(np.where(unanimous, values[:, :1], values))

    return ConfigTable(
        settings=tuple(f"{choice} unless unanimous" for choice in (stop, *further)),
        values=met(matrix.values),
        tokens=met(matrix.paid_tokens[:, None] + matrix.tokens),
        flops=met(matrix.paid_flops[:, None] + matrix.flops),
    )
