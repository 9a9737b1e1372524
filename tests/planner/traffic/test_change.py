"""Changes are found soon, and seldom where there are none."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.traffic.change import below, moved, ranks


def test_false_alarms_over_a_day_are_rarer_than_alpha() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(
        moved(rng.normal(size=(60, 2)), rng.normal(size=(150, 2)), alpha=0.2, seed=day).found is not None
        for day in range(200)
    )
    assert 1 <= alarms <= 40  # at most 0.2 of 200 days, and it does look


def test_a_shift_after_a_quiet_time_is_found_and_dated() -> None:
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(300, 3))
    values = rng.normal(size=(600, 3))
    values[400:, 1] += 1.5
    found = moved(reference, values, alpha=0.01)
    assert found.found is not None
    assert 400 < found.found < 500
    assert abs(found.since - 400) <= 50
    assert found.column == 1


def test_a_mean_that_falls_is_found_and_one_that_rises_is_not() -> None:
    rng = np.random.default_rng(2)
    steady = np.where(rng.random(400) < 0.6, 0.4, -0.6)
    fallen = np.where(rng.random(200) < 0.2, 0.4, -0.6)
    found = below(np.concatenate([steady, fallen]), reach=1.0, alpha=0.01)
    assert found.found is not None
    assert 400 < found.found < 500
    assert below(-fallen, reach=1.0, alpha=0.01).found is None
    assert below(steady, reach=1.0, alpha=0.01).found is None


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=30), seed=st.integers(0, 9))
def test_ranks_lie_within_and_follow_the_order(values: list[float], seed: int) -> None:
    found = ranks(np.array([0.0, 2.0]), np.array(values), Random(seed))
    assert ((found > 0.0) & (found < 1.0)).all()
    assert ranks(np.zeros(50), np.array([1.0]), Random(seed))[0] > 0.98


def test_nothing_seen_is_no_change() -> None:
    assert moved(np.zeros((5, 2)), np.empty((0, 2)), alpha=0.1).found is None
    assert below(np.empty(0), reach=1.0, alpha=0.1).found is None


def test_ranks_are_uniform_where_nothing_changed() -> None:
    rng = np.random.default_rng(3)
    found = ranks(rng.integers(0, 3, 200).astype(float), rng.integers(0, 3, 2000).astype(float), Random(0))
    assert found.mean() == pytest.approx(0.5, abs=0.03)
    assert found.std() == pytest.approx(12**-0.5, abs=0.02)
