"""Streams under a target accuracy, replayed on a log."""

from __future__ import annotations

import pytest

from planner.evaluation.intervals import Resampler
from planner.evaluation.target_accuracy import asked_of, streams, target_accuracy
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.budget import Budget


@pytest.fixture(scope="module")
def matrices(planner: Planner, data: TrainingData) -> Matrices:
    return Matrices(data, planner.encoder, probes=1, resamples=2)


def test_targets_lie_between_the_cheapest_and_the_best(planner: Planner) -> None:
    asked = asked_of(planner)
    assert 3 <= len(asked) <= 5
    assert asked == tuple(sorted(asked))
    assert planner.frontier.accuracy.min() < asked[0] < asked[-1] < planner.frontier.accuracy.max()


def test_a_stream_is_what_its_two_prices_meet(planner: Planner, matrices: Matrices) -> None:
    prices = planner.frontier.prices
    between = float(planner.frontier.accuracy[[0, -1]].mean())
    promised, accuracy, flops = streams(planner, matrices, [Budget(accuracy=between)])[0]
    first, second = (
        next(j for j, price in enumerate(prices) if price == wanted) for wanted in promised.prices
    )
    assert 0.0 < promised.share <= 1.0
    alone = [
        streams(planner, matrices, [Budget(accuracy=float(planner.frontier.accuracy[j]))])[0]
        for j in (first, second)
    ]
    assert accuracy == pytest.approx(promised.share * alone[0][1] + (1.0 - promised.share) * alone[1][1])
    assert flops == pytest.approx(promised.share * alone[0][2] + (1.0 - promised.share) * alone[1][2])
    with pytest.raises(ValueError, match="a stream is met at a target, got"):
        streams(planner, matrices, [Budget(tokens=9)])


def test_a_row_per_target(planner: Planner, matrices: Matrices, data: TrainingData) -> None:
    rows = target_accuracy(planner, matrices, Resampler(len(data), resamples=50), (0.01, 1.0))
    cheap, best = rows
    assert (cheap["asked"], cheap["reached"], best["asked"], best["reached"]) == (0.01, True, 1.0, False)
    assert cheap["flops_expected"] == pytest.approx(planner.frontier.flops.min())
    assert cheap["flops_met"] < best["flops_met"]
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert set(row["domains"]) == set(data.domains)
