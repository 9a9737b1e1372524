"""Bets on a mean: what they find is true however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.traffic.betting import BETS, bet_on_mean, log_capital


def coins(rng: np.random.Generator, runs: int, count: int, mean: float) -> np.ndarray:
    """(runs, count) of -1 or 1 with this mean."""
    return np.where(rng.random((runs, count)) < 0.5 * (1.0 + mean), 1.0, -1.0)


def test_false_alarms_are_rarer_than_alpha_at_every_look() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for gains in coins(rng, 1000, 600, 0.0):
        found = [log_capital(sign * gains, np.array(BETS) / 2.0).max() for sign in (1.0, -1.0)]
        wrong += max(found) >= math.log(2.0 / 0.2)
    assert 20 < wrong <= 200  # at most 0.2 of 1,000, and it does look


def test_a_difference_is_found_and_its_sign_is_right() -> None:
    rng = np.random.default_rng(1)
    for mean in (0.3, -0.3):
        found = [bet_on_mean(gains, np.ones(400), reach=1.0) for gains in coins(rng, 40, 400, mean)]
        assert sum(one.is_above if mean > 0 else one.is_below for one in found) >= 36
        assert not any(one.is_below if mean > 0 else one.is_above for one in found)


def test_the_interval_holds_the_mean() -> None:
    rng = np.random.default_rng(2)
    held = [
        one.low <= 0.4 <= one.high
        for one in (bet_on_mean(gains, np.ones(300), reach=1.0) for gains in coins(rng, 100, 300, 0.4))
    ]
    assert sum(held) >= 95


@settings(max_examples=30, deadline=None)
@given(
    gains=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=60),
    alpha=st.sampled_from([0.01, 0.05, 0.3]),
)
def test_the_interval_holds_its_mean_and_agrees_with_the_bets(gains: list[float], alpha: float) -> None:
    values = np.array(gains)
    found = bet_on_mean(values, np.ones(len(values)), reach=1.0, alpha=alpha)
    assert -1.0 <= found.low <= found.value <= found.high <= 1.0
    wins = log_capital(values, np.array(BETS) / 2.0)[-1] >= math.log(2.0 / alpha)
    assert wins == (found.low > 0.0) or abs(found.low) < 0.02
    mirrored = bet_on_mean(-values, np.ones(len(values)), reach=1.0, alpha=alpha)
    assert (mirrored.above, mirrored.below) == (found.below, found.above)


def test_nothing_seen_says_nothing() -> None:
    found = bet_on_mean(np.empty(0), np.empty(0), reach=1.0)
    assert (found.low, found.high, found.above, found.below) == (-1.0, 1.0, None, None)


def test_gains_beyond_their_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="gains reach at most 1, got 2"):
        bet_on_mean(np.array([2.0]), np.ones(1), reach=1.0)
    with pytest.raises(ValueError, match="each gain has a scale"):
        bet_on_mean(np.array([0.5]), np.ones(2), reach=1.0)
