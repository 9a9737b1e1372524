"""How sure a policy was: of one token, of a sample, of a sample in two pieces."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.engines.confidence import UNKNOWN, WINDOW, Confidence, merge, of_token, reduce

MEASURES = st.tuples(st.floats(0, 5), st.floats(0, 30))


def test_a_token_by_hand() -> None:
    found = of_token([math.log(0.5), math.log(0.25), math.log(0.25)])
    assert found == pytest.approx((1.5 * math.log(2), (1 + 2 + 2) / 3 * math.log(2)))


def test_only_the_likeliest_count_and_what_has_no_probability_does_not() -> None:
    few = of_token([-1.0, -2.0])
    assert of_token([-9.0, -2.0, -1.0], 2) == few
    assert of_token([-1.0, -9999.0, -2.0, -math.inf]) == few
    assert of_token([]) is None
    assert of_token([-9999.0]) is None


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=30))
def test_entropy_and_confidence_are_never_negative(values: list[float]) -> None:
    found = of_token(values)
    assert found is not None
    assert min(found) >= 0.0


@given(st.lists(MEASURES, min_size=1, max_size=200))
def test_the_lowest_window_is_found(tokens: list[tuple[float, float]]) -> None:
    found = reduce(tokens)
    width = min(WINDOW, len(tokens))
    means = [
        math.fsum(confidence for _, confidence in tokens[at : at + width]) / width
        for at in range(len(tokens) - width + 1)
    ]
    assert found.lowest_confidence == pytest.approx(min(means), abs=1e-6)
    assert found.mean_confidence is not None
    assert min(means) <= found.mean_confidence + 1e-6 or len(tokens) > WINDOW


def test_a_mean_over_some_of_the_tokens_is_none() -> None:
    assert reduce([]) == UNKNOWN
    assert reduce([(1.0, 2.0), None]) == UNKNOWN


@given(st.lists(MEASURES, max_size=90), st.lists(MEASURES, max_size=90))
def test_two_pieces_have_the_means_of_the_whole(
    one: list[tuple[float, float]], two: list[tuple[float, float]]
) -> None:
    found, whole = merge(reduce(one), len(one), reduce(two), len(two)), reduce(one + two)
    assert found.mean_entropy == pytest.approx(whole.mean_entropy)
    assert found.mean_confidence == pytest.approx(whole.mean_confidence)


def test_a_piece_that_is_not_known_makes_the_whole_unknown() -> None:
    known = Confidence(1.0, 2.0, 1.5)
    assert merge(known, 3, UNKNOWN, 2) == UNKNOWN
    assert merge(known, 3, UNKNOWN, 0) == known
    assert merge(UNKNOWN, 0, known, 3) == known
