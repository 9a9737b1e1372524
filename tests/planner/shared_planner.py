"""The synthetic log of the planner's tests and the planner fitted on it: each made once in a process.

Several folders have fixtures of them. They are frozen: a test that needs another one makes it by ``replace``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import synthetic

from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from training.study import fit_training_data


def training_data_of(problems: int, **how: object) -> TrainingData:
    """A synthetic log, read. ``how``: what ``synthetic.make_log`` takes."""
    return read_training_data(synthetic.make_log(problems, **how), synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


@cache
def shared_data() -> TrainingData:
    """Two policies under two PRMs, and tree searches."""
    return training_data_of(160, policies=("small", "large"), trees=True)


@cache
def shared_planner() -> Planner:
    """What it has learned decides at every price, so that there is something to see of it."""
    fitted = fit_training_data(shared_data(), trials=0, date="2026-01-01")
    first, *others = fitted.stages
    return replace(fitted, stages=(replace(first, trust=None), *others))
