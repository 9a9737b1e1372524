"""A planner that leaves out what cannot be run now: choices and looks of a PRM (or a policy) that is down.

Predictions stay as they were learned; columns of the menu go. A stage whose look cannot be had goes too, and
with it the way to later looks. What remains is an ordinary planner.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from planner.planner import Planner
from planner.stages import Stage
from search.errors import ArtefactError

__all__ = ["without"]


def without(planner: Planner, *, policies: Collection[str] = (), prms: Collection[str] = ()) -> Planner:
    """The planner without these models; the same object where it uses none of them.

    Raises ArtefactError when what a stage's advantages are over would go.
    """
    down = set(policies), set(prms)
    if not (down[0] & planner.policies.keys() or down[1] & planner.prms.keys()):
        return planner
    stages: list[Stage] = []
    for stage in planner.stages:
        if stage.look.samples and (stage.look.policy in down[0] or stage.look.prm in down[1]):
            break
        stages.append(_restricted(stage, *down))
    if stages[-1].terms.next_look is not None:
        stages[-1] = _last(stages[-1])
    return replace(planner, stages=tuple(stages))


def _restricted(stage: Stage, policies: set[str], prms: set[str]) -> Stage:
    """The stage with the choices that can be run."""
    terms = stage.terms
    keep = [
        i
        for i, choice in enumerate(terms.choices)
        if choice.policy not in policies and (choice.prm is None or choice.prm not in prms)
    ]
    if terms.reference not in keep:
        raise ArtefactError(
            f"a planner needs what its advantages are over, got {terms.choices[terms.reference]} left out"
        )
    columns = [*keep, *range(len(terms.choices), len(stage.centre))]
    return replace(
        stage,
        terms=replace(
            terms,
            choices=tuple(terms.choices[i] for i in keep),
            choice_costs=tuple(terms.choice_costs[i] for i in keep),
            reference=keep.index(terms.reference),
        ),
        centre=stage.centre[columns],
        loadings=stage.loadings[:, columns],
    )


def _last(stage: Stage) -> Stage:
    """The stage with nothing to look at afterwards."""
    count = len(stage.choices)
    terms = replace(
        stage.terms, look_costs=None, next_look=None, prices=np.zeros(0), advance_cost=np.zeros(0)
    )
    return replace(stage, terms=terms, centre=stage.centre[:count], loadings=stage.loadings[:, :count])
