from __future__ import annotations

import numpy as np
import pytest

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.restricted_planner import restricted
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner


@pytest.mark.parametrize("prm", ["good", "bad", None])
@pytest.mark.parametrize("policy", ["small", "large"])
def test_a_confined_planner_uses_nothing_else(
    planner: Planner, data: TrainingData, policy: str, prm: str | None
) -> None:
    stages = restricted(planner.stages, policy, prm)
    assert stages
    matrices = Matrices(data, planner.encoder, probes=2, resamples=2)
    prices = np.geomspace(1e-4, 1.0, 7) / planner.sample_flops
    done = replay(stages, matrices, [Rule(price=float(price)) for price in prices])
    for stage, options, reached in zip(stages, done.made, done.reached, strict=True):
        taken = options[reached & (options < len(stage.choices))]
        assert (taken >= 0).all()
        for place in np.unique(taken):
            choice = stage.choices[place]
            assert choice.policy == policy
            assert choice.prm in (None, prm)
        own = stage.probe.policy == policy and stage.probe.prm in (None, prm)
        assert own or not stage.probe.samples or not reached.any()
    # whatever is reached ends somewhere
    last = done.reached[-1] & (done.made[-1] >= len(stages[-1].choices))
    assert not last.any()


def test_an_unknown_policy_leaves_nothing(planner: Planner) -> None:
    assert restricted(planner.stages, "other", None) == ()
