from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.intervals import Resampler


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    inside = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        values = rng.random(150) ** 2
        found = Resampler(150, resamples=400, seed=trial).interval(values)
        inside += found.low <= 1 / 3 <= found.high
    assert 0.90 <= inside / 200 <= 0.985


def test_clusters_widen_intervals_when_they_agree() -> None:
    rng = np.random.default_rng(0)
    families = [str(i // 20) for i in range(400)]
    values = np.repeat(rng.random(20), 20)
    alone = Resampler(400, seed=1).interval(values)
    together = Resampler(400, clusters=families, seed=1).interval(values)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_families_are_drawn_whole_where_there_are_enough() -> None:
    values = np.random.default_rng(0).random(120)
    for count, clustered in ((30, True), (29, False)):
        families = [str(i % count) for i in range(120)]
        found = Resampler.of_families(families, seed=1).interval(values)
        assert found == Resampler(120, clusters=families if clustered else None, seed=1).interval(values)


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(300)
    found = Resampler(300).interval((base + 0.01) - base)
    assert found.low == pytest.approx(0.01)
    assert found.high == pytest.approx(0.01)


def test_a_ratio_without_a_bottom_is_not_a_number() -> None:
    assert np.isnan(Resampler(5).ratio(np.ones(5), np.zeros(5)).value)
    assert Resampler(5).ratio(np.ones(5), 2 * np.ones(5)).value == pytest.approx(0.5)


def test_refuses_nothing_to_resample() -> None:
    with pytest.raises(ValueError, match="needs problems"):
        Resampler(0)
    with pytest.raises(ValueError, match="one cluster"):
        Resampler(3, clusters=["a"])
