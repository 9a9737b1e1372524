from __future__ import annotations

import pytest

from search.grading.mathematics.answer_scalars import (
    compound,
    in_words,
    is_symbolic,
    is_word,
    scalar,
    with_unit,
)
from search.grading.mathematics.answer_shape import Scalar, Shape, Words


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("12", Scalar("12")),
        (r"\$12", Scalar("12", "$")),
        (r"12\%", Scalar("12", percent="%")),
        ("12 percent", Scalar("12", percent="percent")),
        (r"12^\circ", Scalar("12", "deg")),
        (r"12\text{ cm}", Scalar("12", "cm")),
        ("12 cm", Scalar("12", "cm")),
        (r"12\text{ square meters}", Scalar("12", "m^2")),
        ("12 apples", Scalar("12", "apple")),
        ("mgL", Scalar("mgL")),
        ("never", Words("never")),
    ],
)
def test_numbers_with_what_stands_around_them(text: str, shape: Shape) -> None:
    assert scalar(text) == shape


def test_several_units_are_one_amount() -> None:
    assert compound(r"1\text{ hour }30\text{ minutes}") == Scalar("1*(1)+30*(1/60)", "h")
    assert compound("5 feet 3 inches") == Scalar("5*(1)+3*(1/12)", "ft")
    assert compound("12") is None


def test_words_without_their_article_and_marks() -> None:
    assert in_words(r"The \text{ Tall}, tree.") == Words("tall tree")


@pytest.mark.parametrize(
    ("run", "expected"), [("yes", True), ("tree", True), ("mgL", False), ("xyz", False), ("ABCD", False)]
)
def test_a_run_of_letters(run: str, expected: bool) -> None:
    assert is_word(run) is expected


def test_what_is_for_the_symbolic_reader() -> None:
    assert is_symbolic(r"\sum_{k=1}^n k")
    assert is_symbolic(r"\lim_{x\to0}x")
    assert not is_symbolic(r"\frac{1}{2}")


def test_a_number_takes_its_unit() -> None:
    assert with_unit("3", "meters") == Scalar("3", "m")
