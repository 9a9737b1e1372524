from __future__ import annotations

import pytest

from search.grading.mathematics.answer_reading import shaped
from search.grading.mathematics.answer_sets import are_same_sets, is_set_like, pieces
from search.grading.mathematics.answer_values import exact_value


def are_one(first: str, second: str) -> bool:
    one, other = pieces(shaped(first), exact_value), pieces(shaped(second), exact_value)
    assert one is not None
    assert other is not None
    return are_same_sets(one, other)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("(2,5]", r"2<x\le5"),
        (r"x\ne3", r"(-\infty,3)\cup(3,\infty)"),
        (r"[1,2]\cup[2,3]", "[1,3]"),
        (r"[1,2]\cup[4,5]", r"[4,5]\cup[1,2]"),
        (r"|x|<2", "(-2,2)"),
        (r"\mathbb{R}", r"(-\infty,\infty)"),
        (r"[0,4]\setminus\{2\}", r"[0,2)\cup(2,4]"),
    ],
)
def test_one_set(first: str, second: str) -> None:
    assert are_one(first, second)


@pytest.mark.parametrize(
    ("first", "second"), [("(2,5]", "(2,5)"), ("(2,5]", "[2,5]"), ("(2,5)", "(2,6)"), ("x<1", "x>1")]
)
def test_other_sets(first: str, second: str) -> None:
    assert not are_one(first, second)


def test_ends_of_unknown_order_make_no_set() -> None:
    assert pieces(shaped("(a,b)"), exact_value) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x<1", True), (r"[1,2]\cup[3,4]", True), (r"\mathbb{R}", True), ("(1,2)", False), ("x=1", False)],
)
def test_what_can_only_be_a_set(text: str, expected: bool) -> None:
    assert is_set_like(shaped(text)) is expected
