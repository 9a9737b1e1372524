from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.engines.confidence import WINDOW
from search.strategies.running.candidates import LogprobSummary, summarize

LOGPROBS = st.lists(st.floats(-30.0, 0.0), min_size=1, max_size=200)


def test_nothing_is_known_without_logprobs() -> None:
    assert summarize([], [3]) == LogprobSummary(None, None, None, ())


@given(LOGPROBS, st.integers(1, 100))
def test_a_window_lies_between_the_minimum_and_the_mean(logprobs: list[float], window: int) -> None:
    got = summarize(logprobs, window=window)
    assert got.mean == pytest.approx(math.fsum(logprobs) / len(logprobs))
    assert got.minimum == min(logprobs)
    assert got.lowest_window is not None
    assert got.minimum - 1e-9 <= got.lowest_window
    if window == 1:
        assert got.lowest_window == got.minimum
    width = min(window, len(logprobs))
    by_hand = [sum(logprobs[i : i + width]) / width for i in range(len(logprobs) - width + 1)]
    assert got.lowest_window == pytest.approx(min(by_hand))


def test_a_solution_shorter_than_the_window_is_one_window() -> None:
    short = [-0.5, -1.5] * (WINDOW // 4)
    assert summarize(short).lowest_window == -1.0
    uncertain = [-0.01] * 100 + [-5.0] * WINDOW + [-0.01] * 100
    assert summarize(uncertain).lowest_window == pytest.approx(-5.0)


@given(st.data())
def test_steps_have_their_own_means(data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=8).filter(any))
    logprobs = data.draw(st.lists(st.floats(-9.0, 0.0), min_size=sum(steps), max_size=sum(steps)))
    got = summarize(logprobs, steps)
    assert len(got.steps) == len(steps)
    weighted = sum(mean * tokens for mean, tokens in zip(got.steps, steps, strict=True))
    assert weighted == pytest.approx(math.fsum(logprobs), abs=1e-6)
    assert all(min(logprobs) - 1e-9 <= mean <= max(logprobs) + 1e-9 for mean in got.steps)


def test_a_step_without_tokens_has_the_value_at_its_place() -> None:
    assert summarize([-1.0, -2.0], [1, 0, 1, 0]).steps == (-1.0, -2.0, -2.0, -2.0)


def test_steps_that_do_not_add_up_have_no_means() -> None:
    assert summarize([-1.0, -2.0], [3]).steps == ()


def test_a_window_holds_a_token() -> None:
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        summarize([-1.0], window=0)


def test_a_probability_of_zero_is_no_error() -> None:
    got = summarize([-math.inf, -1.0, -1.0], [1, 2], window=2)
    assert (got.mean, got.minimum, got.lowest_window) == (-math.inf, -math.inf, -math.inf)
    assert got.steps == (-math.inf, -1.0)
