from __future__ import annotations

import pytest

from planner.evaluation.streaming import streamed
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner


def test_a_stream_keeps_its_mean(planner: Planner, data: TrainingData) -> None:
    matrices = Matrices(data, planner.encoder, probes=2, resamples=2)
    costs = planner.frontier.flops
    within = [float(costs.min() * 3), float(costs.max() / 3)]
    beyond = float(costs.max() * 50)
    *kept, most = streamed(planner, matrices, [*within, beyond], seed=1)
    for budget, mean in zip(within, kept, strict=True):
        # 160 requests, errors made up over 64
        assert mean == pytest.approx(budget, rel=0.15)
    assert most <= 1.5 * costs.max()
    assert streamed(planner, matrices, within, seed=1) == kept
