"""What is promised on new problems of the logged kinds is what is met, by domain too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.baselines.rules import with_rules
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.budget import Budget
from tests.planner import synthetic
from training.study import fit_training_data


def read(problems: int, seed: int) -> TrainingData:
    made = synthetic.make_log(problems, draws=24, seed=seed, ns=(4, 16), prms=("good",))
    return read_training_data(made, synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture(scope="module")
def learned() -> Planner:
    return fit_training_data(read(240, seed=1), trials=0)


@pytest.fixture(scope="module")
def errors(learned: Planner) -> np.ndarray:
    """(2, prices, 2 domains, 2) errors of FLOPs, relative, and of accuracies: corrected, and as predicted."""
    data = with_rules(read(300, seed=2), seed=0)
    matrices = Matrices(data, learned.encoder, probes=4, resamples=4)
    prices = learned.frontier.prices[::3]
    met = replay(learned.stages, matrices, [Rule(price=float(price)) for price in prices]).met
    bare = replace(learned, stages=tuple(replace(stage, promises=None) for stage in learned.stages))
    homes = np.array(data.domains)
    out = np.zeros((2, len(prices), 2, 2))
    for place, planner in enumerate((learned, bare)):
        for j, price in enumerate(prices):
            advice = [
                planner.decide(question, budget=Budget(price=float(price)), domain=domain)
                for question, domain in zip(data.questions, data.domains, strict=True)
            ]
            flops, accuracy = np.array([[each.flops, each.accuracy] for each in advice]).T
            for d, name in enumerate(("arithmetic", "puzzle")):
                mine = homes == name
                out[place, j, d] = (
                    flops[mine].mean() / met.flops[mine, j].mean() - 1.0,
                    accuracy[mine].mean() - met.accuracy[mine, j].mean(),
                )
    return out


def test_costs_are_met_by_domain(errors: np.ndarray) -> None:
    corrected, bare = np.abs(errors[:, :, :, 0]).mean(axis=(1, 2))
    assert corrected < 0.6 * bare
    assert abs(errors[0, :, :, 0].mean()) < 0.05


def test_accuracies_are_met_by_domain(errors: np.ndarray) -> None:
    corrected, bare = np.abs(errors[:, :, :, 1]).mean(axis=(1, 2))
    assert corrected < bare + 0.005
    assert abs(errors[0, :, :, 1].mean()) < 0.03
