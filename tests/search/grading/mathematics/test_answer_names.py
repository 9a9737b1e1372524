from __future__ import annotations

import pytest

from search.grading.mathematics.answer_names import (
    are_numbered,
    is_name,
    is_number,
    letters_in,
    letters_of,
    names_of,
)
from search.grading.mathematics.answer_reading import shaped
from search.grading.mathematics.answer_shape import Items, Relation, Scalar, Words


@pytest.mark.parametrize("text", ["x", "AB", "a+b", r"\sin A", "f(2)", "(x,y)", "x:y"])
def test_names(text: str) -> None:
    assert is_name(shaped(text))


@pytest.mark.parametrize("text", ["2", "x^2+1", "2x", "(1,2)"])
def test_no_names(text: str) -> None:
    assert not is_name(shaped(text))


def test_words_name_and_numbers_hold_no_letters() -> None:
    assert is_name(Words("the area"))
    assert is_number(Scalar(r"2\pi"))
    assert not is_number(Scalar("2x"))
    assert not is_number(Scalar("2", unit="m"))
    assert not is_number(Scalar("((("))


def test_letters_of_a_relation() -> None:
    relation = shaped("y=2x+1")
    assert isinstance(relation, Relation)
    assert letters_in(relation) == {"x", "y"}


def items(text: str) -> tuple[object, ...]:
    found = shaped(text)
    assert isinstance(found, Items)
    return found.items


def test_names_of_assignments() -> None:
    named = items("y=1, x=2")
    assert names_of(named) == ("x", "y")  # type: ignore[arg-type]
    assert names_of(items("x=1, 2")) == ()  # type: ignore[arg-type]
    numbered = items("x_1=1, x_2=2")
    assert letters_of(numbered) == ["x", "x"]  # type: ignore[arg-type]
    assert are_numbered(numbered, items("x=1, x=2"))  # type: ignore[arg-type]
    assert not are_numbered(named, named)  # type: ignore[arg-type]
