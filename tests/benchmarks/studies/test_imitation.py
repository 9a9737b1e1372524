"""Classifiers that imitate the best option: what they meet is what the options they name meet."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from studies.imitation import imitate

from planner.evidence.matrix import Matrices, Matrix
from planner.evidence.probe import Probe
from planner.evidence.training_data import read_training_data
from planner.features.question import NgramEncoder


@pytest.fixture(scope="module")
def chains(synthetic: ModuleType) -> tuple[list[Matrix], list[Matrix], tuple[str, ...]]:
    logs = [
        read_training_data(synthetic.make_log(160, seed=seed), synthetic.POLICIES, synthetic.PRMS)
        for seed in (1, 2)
    ]
    encoder = NgramEncoder.fit(list(logs[0].questions), dimensions=4)
    sides = [Matrices(log, encoder, probes=2, resamples=4) for log in logs]
    probe_sequence = [Probe("small", 0), Probe("small", 4, "good")]
    first, second = ([side.at(probe) for probe in probe_sequence] for side in sides)
    return first, second, logs[0].families


@pytest.mark.parametrize("weighed", [False, True])
def test_free_compute_is_spent_and_dear_compute_is_not(
    chains: tuple[list[Matrix], list[Matrix], tuple[str, ...]], weighed: bool
) -> None:
    training, test, families = chains
    sample = float(test[0].flops.min(axis=1).mean())
    met = imitate(training, test, np.array([1e-6, 10.0]) / sample, families, weighed=weighed)
    assert met.accuracy.shape == (160, 2)
    assert met.flops[:, 1].mean() == pytest.approx(sample, rel=0.2)
    assert met.flops[:, 0].mean() > 2 * met.flops[:, 1].mean()
    # far above the mean option, below the best one of each problem
    assert met.accuracy[:, 0].mean() > test[0].values.mean()
    assert met.accuracy[:, 0].mean() <= max(m.per_problem(m.values.max(axis=1)).mean() for m in test) + 1e-9


def test_one_price_alone_is_as_among_others(
    chains: tuple[list[Matrix], list[Matrix], tuple[str, ...]],
) -> None:
    training, test, families = chains
    prices = np.array([1e-3, 1e-1]) / float(test[0].flops.min())
    both = imitate(training[:1], test[:1], prices, families, weighed=True)
    alone = imitate(training[:1], test[:1], prices[1:], families, weighed=True)
    assert (both.accuracy[:, 1] == alone.accuracy[:, 0]).all()
    assert (both.flops[:, 1] == alone.flops[:, 0]).all()


def test_other_looks_are_refused(chains: tuple[list[Matrix], list[Matrix], tuple[str, ...]]) -> None:
    training, test, families = chains
    with pytest.raises(ValueError, match="at the probes they learned, got 4 samples of small"):
        imitate(training[:1], test[1:], np.array([1e-9]), families, weighed=False)
