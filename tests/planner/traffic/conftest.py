"""A planner that serves and one that never did."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from planner.planner import Planner
from planner.training_data import TrainingData, read_training_data
from training.study import fit_training_data


@pytest.fixture(scope="session")
def other(data: TrainingData) -> Planner:
    """Another planner of the same models, fitted on other problems: what it has learned decides."""
    import synthetic

    log = synthetic.make_log(120, policies=("small", "large"), trees=True, seed=7)
    made = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)
    fitted = fit_training_data(made, trials=0, date="2026-01-01", seed=1)
    first, *others = fitted.stages
    return replace(fitted, stages=(replace(first, trust=None), *others))
