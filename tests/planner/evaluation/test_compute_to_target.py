from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.evaluation.compute_to_target import least, multiple
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler


def track(accuracy: list[float], flops: list[float], problems: int = 50, seed: int = 0) -> Track:
    """Problems around the given means."""
    noise = np.random.default_rng(seed).normal(0, 0.05, (problems, 1))
    noise -= noise.mean()
    cost = np.repeat(np.array([flops]), problems, axis=0)
    return Track("t", np.array([accuracy]) + noise, cost, cost)


shares = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(shares, st.floats(0, 1))
def test_what_is_needed_is_enough_and_less_is_not(accuracy: list[float], target: float) -> None:
    curve = Track("t", np.array([accuracy]), *(np.arange(1.0, len(accuracy) + 1)[None] for _ in range(2)))
    needed = float(least(np.array(accuracy), np.arange(1.0, len(accuracy) + 1), np.array(target)))
    if np.isinf(needed):
        assert max(accuracy) < target
        return
    assert curve.at(needed)[0][0] >= target - 1e-9
    if needed > 1.0:
        for less in np.linspace(1.0, needed, 7)[:-1]:
            assert curve.at(float(less))[0][0] < target + 1e-9


def test_majority_over_itself_is_one() -> None:
    own = track([0.4, 0.6, 0.55], [1.0, 4.0, 16.0])
    found = multiple(own, own, Resampler(50, resamples=100))
    assert (found.value, found.low, found.high, found.reached) == (1.0, 1.0, 1.0, True)
    assert (found.accuracy, found.flops) == (pytest.approx(0.6), 4.0)


def test_multiples_are_of_least_compute_at_no_lower_accuracy() -> None:
    rival, ours = track([0.4, 0.6], [1.0, 64.0]), track([0.4, 0.8], [1.0, 17.0])
    found = multiple(rival, ours, Resampler(50, resamples=100))
    assert found.flops == pytest.approx(9.0)  # half way from 0.4 to 0.8
    assert found.value == pytest.approx(64.0 / 9.0)
    assert (found.low, found.high) == (pytest.approx(found.value), pytest.approx(found.value))


def test_where_no_compute_would_do_it_is_zero() -> None:
    found = multiple(track([0.9], [1.0]), track([0.5, 0.8], [1.0, 9.0]), Resampler(50, resamples=100))
    assert (found.value, found.reached) == (0.0, False)


def test_a_point_below_the_best_is_told_beside_it() -> None:
    """The rival climbs its last point slowly: 64 at 0.6, 4 at 0.59; ours is straight from (1, 0.4)."""
    rival, ours = track([0.4, 0.59, 0.6], [1.0, 4.0, 64.0]), track([0.4, 0.8], [1.0, 17.0])
    found = multiple(rival, ours, Resampler(50, resamples=100))
    assert found.value == pytest.approx(64.0 / 9.0)
    assert found.below == pytest.approx(4.0 / 8.6)
    assert (found.below_low, found.below_high) == (pytest.approx(found.below), pytest.approx(found.below))
    never = multiple(track([0.9], [1.0]), track([0.5, 0.8], [1.0, 9.0]), Resampler(50, resamples=100))
    assert never.below == 0.0
