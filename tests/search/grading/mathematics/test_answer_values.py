from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.grading.mathematics.answer_values import (
    Value,
    are_proportional,
    are_same,
    exact_value,
    written_key,
)


def at(*numbers: int) -> Value:
    """A value at real points."""
    return Value(str(numbers), None, tuple(((number, 0), (0, 0)) for number in numbers))


def test_what_is_rational_is_known_at_once() -> None:
    assert exact_value(r"\frac{1}{3}+\sqrt4") == Value(written_key(r"\frac{1}{3}+\sqrt4"), Fraction(7, 3))
    assert exact_value(r"\sqrt2") is None
    assert exact_value("x") is None
    assert exact_value("(((") is None


def test_terms_and_factors_have_no_order() -> None:
    assert written_key("a+b") == written_key("b+a")
    assert written_key("ab") == written_key("ba")
    assert written_key("a-b") != written_key("b-a")
    assert written_key("( ((") == "((("


def test_values_are_compared_exactly_where_they_are_known() -> None:
    assert are_same(Value("a", Fraction(1, 3)), Value("b", Fraction(2, 6)))
    assert not are_same(Value("a", Fraction(1, 3)), Value("a", Fraction(1, 3) + Fraction(1, 10**60)))


def test_values_at_points() -> None:
    large = 3 << 200
    assert are_same(at(large, 5), Value("other", None, at(large + 1, 5).points))  # the 200th bit differs
    assert not are_same(at(large, 5), Value("other", None, at(large, 6).points))
    assert not are_same(Value("a"), Value("b"))  # without points in common nothing is said


@pytest.mark.parametrize(
    ("second", "positive", "expected"),
    [
        ((2, 4, 6), True, True),
        ((-2, -4, -6), True, False),
        ((-2, -4, -6), False, True),
        ((2, 4, 7), False, False),
    ],
)
def test_proportional(second: tuple[int, ...], positive: bool, expected: bool) -> None:
    assert are_proportional(at(1, 2, 3), at(*second), positive=positive) is expected


@given(st.fractions(max_denominator=1000), st.fractions(max_denominator=1000))
def test_a_product_with_a_number(value: Fraction, factor: Fraction) -> None:
    assert Value("v", value).times(factor).exact == value * factor


def test_as_a_float() -> None:
    assert Value("v", Fraction(1, 4)).approximate() == 0.25
    assert at(6).approximate() == 6.0
    assert at(1, 2).approximate() is None
    assert Value("v", Fraction(10**400)).approximate() is None
    assert Value("i", None, (((1, 0), (1, 0)),)).approximate() is None


def test_what_a_worker_says() -> None:
    told = {"points": [[[3, -1], [0, 0]], None], "rough": True}
    assert Value.from_json("k", told) == Value("k", None, (((3, -1), (0, 0)), None), True)
