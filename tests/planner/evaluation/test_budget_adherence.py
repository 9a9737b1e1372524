from __future__ import annotations

import numpy as np
import pytest

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.budget_adherence import budget_adherence
from planner.evaluation.overhead import PER_CHARACTER, PER_DECISION, with_overhead
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner


def test_every_problem_ends_once(planner: Planner, data: TrainingData) -> None:
    matrices = Matrices(data, planner.encoder, probes=2, resamples=2)
    found = budget_adherence(planner, matrices, 8.0 * planner.sample_flops)
    assert sum(found.ended.values()) == pytest.approx(1.0)
    assert np.bincount(found.problem, found.weight) == pytest.approx(np.ones(len(data)))
    # what final decisions met is what the requests met
    assert np.bincount(found.problem, found.weight * found.actual) == pytest.approx(found.accuracy)
    assert ((found.expected > 0) & (found.expected < 1)).all()


def test_deciding_is_charged_once_per_stage(planner: Planner, data: TrainingData) -> None:
    matrices = Matrices(data, planner.encoder, probes=2, resamples=2)
    done = replay(planner.stages, matrices, [Rule(price=float(p)) for p in (0.0, 1.0)])
    more = with_overhead(done, matrices) - done.met.flops
    characters = np.array([len(question) for question in data.questions])
    # at an absurd price the first decision is the last
    assert more[:, 1] == pytest.approx(PER_DECISION + PER_CHARACTER * characters)
    assert (more[:, 0] >= more[:, 1] - 1e-3).all()
    assert more.max() <= PER_DECISION * len(planner.stages) + PER_CHARACTER * characters.max()
    assert more.max() < 0.02 * planner.sample_flops
