"""A stream's mean stays at its budget, also where the calibration was wrong."""

from __future__ import annotations

import numpy as np
import pytest

from planner.deciding.budgeting import rule
from planner.deciding.replay import replay
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.solving.stream import Stream
from search.budget import Budget
from search.errors import BudgetError
from search.result import Spend


@pytest.mark.parametrize("dearer", [0.7, 1.0, 1.5])
@pytest.mark.parametrize("samples", [3.0, 8.0])
def test_the_mean_is_kept_within_two_percent(
    planner: Planner, data: TrainingData, dearer: float, samples: float
) -> None:
    """Requests cost ``dearer`` times what the same decisions cost in training."""
    matrices = Matrices(data, planner.encoder, probes=2, resamples=2, seed=1)
    amounts = np.geomspace(planner.frontier.flops.min(), planner.frontier.flops.max(), 40)
    met = []
    for amount in amounts:
        aim = Budget(mean_flops=float(amount))
        rules = [rule(planner, aim, question) for question in data.questions]
        met.append(replay(planner.stages, matrices, rules.__getitem__).met.flops[:, 0] * dearer)
    costs = np.array(met)
    budget = samples * planner.sample_flops * dearer
    stream = Stream(planner, Budget(mean_flops=budget))
    rng = np.random.default_rng(7)
    for problem in rng.integers(0, len(data), 2500):
        asked = stream.budget().mean_flops
        stream.settle(Spend(flops=float(costs[np.abs(np.log(amounts / asked)).argmin(), problem])))
    assert stream.requests == 2500
    assert stream.mean == pytest.approx(budget, rel=0.02)


def test_what_was_overspent_is_made_up(planner: Planner) -> None:
    budget = Budget(mean_tokens=1000.0)
    stream = Stream(planner, budget, horizon=10)
    assert stream.budget() == budget
    stream.settle(Spend(policy_tokens=1500, prm_tokens=500))
    assert stream.budget() == Budget(mean_tokens=900.0)
    for _ in range(3):
        stream.settle(Spend(policy_tokens=500))
    assert (stream.budget().mean_tokens or 0.0) > 1000.0


def test_a_horizon_must_be_at_least_one(planner: Planner) -> None:
    with pytest.raises(BudgetError, match="at least 1 request, got 0"):
        Stream(planner, Budget(mean_flops=1.0), horizon=0)
