"""Equality with the values that need no worker; ``test_math_cases.py`` has all kinds of answers."""

from __future__ import annotations

import pytest

from search.grading.mathematics.answer_equality import is_answer, leaves
from search.grading.mathematics.answer_reading import shaped
from search.grading.mathematics.answer_values import exact_value


def same(reference: str, answer: str) -> bool:
    return is_answer(shaped(reference), shaped(answer), exact_value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1/2", "0.5"),
        ("1,2", "2,1"),
        ("x=1,x=2", "1 or 2"),
        (r"\{1,2\}", "2, 1"),
        ("(1,2)", "1<x<2"),
        (r"x\ge1", r"[1,\infty)"),
        ("x=2", "2"),
        ("3:30 pm", "15:30"),
        ("2:4", "1:2"),
        ("100 cm", "1 m"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\4/2\end{pmatrix}"),
        (r"x\equiv1\pmod3", r"x\equiv4\pmod3"),
        ("(B)", "(B) 2"),
    ],
)
def test_both_ways(first: str, second: str) -> None:
    assert same(first, second)
    assert same(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1/2", "0.51"),
        ("(1,2)", "(2,1)"),
        ("1,2", "1,2,3"),
        ("1,1", "1,2"),
        ("[1,2]", "[1,2)"),
        ("3:30 am", "3:30 pm"),
        ("1 cm", "1 m"),
        ("1 cm", "1 kg"),
        ("(A)", "(B)"),
        ("yes", "no"),
        (r"x\equiv1\pmod3", r"x\equiv2\pmod3"),
    ],
)
def test_neither_way(first: str, second: str) -> None:
    assert not same(first, second)
    assert not same(second, first)


def test_percents_depend_on_the_side() -> None:
    assert same(r"35\%", "0.35")
    assert same(r"35\%", "35")
    assert same("0.35", r"35\%")
    assert not same("0.35", r"0.35\%")


def test_values_that_nobody_knows_make_only_what_is_written_alike_equal() -> None:
    one, other = shaped(r"\sqrt2"), shaped(r"2^{1/2}")
    assert is_answer(one, one, lambda text: None)
    assert not is_answer(one, other, lambda text: None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2, 3, 2", ["2", "3"]),
        ("x=2", ["x", "2"]),
        ("yes", []),
        ("(B) 7", ["7"]),
    ],
)
def test_the_expressions_whose_values_count(text: str, expected: list[str]) -> None:
    found = leaves(shaped(text))
    assert len(found) == len(set(found))
    assert set(expected) <= set(found)
    assert bool(found) == bool(expected)
