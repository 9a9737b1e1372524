"""Reading, comparing and grading expressions of the Game of 24."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.game24 import Game24Domain
from search.problem import Problem

GAME = Game24Domain()


def problem(question: str = "4 5 6 10") -> Problem:
    return Problem("p", "f", "game24", question, "24")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Steps:\n4 * 5 = 20\nAnswer: (4 * 5) + (10 - 6) = 24\n", "((10-6)+(4*5))"),
        ("answer: (10 - 6) + 5*4", "((10-6)+(4*5))"),
        ("(4 * 5) + (10 - 6) = 24", "((10-6)+(4*5))"),
        ("Answer: -4 + 28", "((-4)+28)"),
        ("Answer: None", None),
        ("Answer: 4 5 + 6", None),
        ("Answer: 4(5 + 6)", None),
        ("Answer: 2**3", None),
        ("Answer: 7 // 2", None),
        ("Answer: (4 + 5", None),
        ("Answer: 05 + 4", None),
        ("Answer: __import__('os')", None),
        ("Answer: " + "(" * 100 + "4" + ")" * 100, None),
        ("Answer: 4 + 5\nor so", None),
        ("", None),
    ],
)
def test_reading(text: str, answer: str | None) -> None:
    assert GAME.read(problem(), text) == answer


@given(st.one_of(st.text(), st.text("0123456789+-*/() ").map(lambda text: f"Answer: {text}")))
def test_reading_never_raises_and_is_canonical(text: str) -> None:
    found = GAME.read(problem(), text)
    assert found is None or GAME.read(problem(), f"Answer: {found} = 24") == found
    GAME.grade(problem(), found)


@given(st.permutations([4, 5, 6, 10]), st.lists(st.sampled_from("+-*/"), min_size=3, max_size=3))
def test_the_order_of_sums_and_products_does_not_matter(numbers: list[int], signs: list[str]) -> None:
    a, b, c, d = numbers
    first, second, third = signs
    one = GAME.read(problem(), f"Answer: (({a} {first} {b}) {second} {c}) {third} {d}")
    inner = f"({b} {first} {a})" if first in "+*" else f"({a} {first} {b})"
    middle = f"({c} {second} {inner})" if second in "+*" else f"({inner} {second} {c})"
    assert GAME.read(problem(), f"Answer: {middle} {third} {d}") == one


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        ("4 5 6 10", "((10-6)+(4*5))", True),
        ("4 5 6 10", "((10-6)*(4+5))", False),
        ("4 5 6 10", "(4*6)", False),
        ("4 5 6 10", "((4*6)*(10-9))", False),
        ("3 3 8 8", "(8/(3-(8/3)))", True),
        ("1 1 4 6", "((1-1)+(4*6))", True),
        ("1 1 4 6", "((4*6)/(1-1))", False),
        ("4 5 6 10", None, False),
        ("4 5 6 10", "nonsense", False),
    ],
)
def test_grading(question: str, answer: str | None, right: bool) -> None:
    assert GAME.grade(problem(question), answer) is right


@pytest.mark.parametrize("question", ["4 5 6", "four five six ten", "4 5 6 10 11"])
def test_a_question_that_is_no_game_is_refused(question: str) -> None:
    with pytest.raises(GradingError, match="four whole numbers, got"):
        GAME.grade(problem(question), None)
    assert not GAME.claims(question)


def test_claims_four_bare_numbers() -> None:
    assert GAME.claims("4 5 6 10")
    assert not GAME.claims("What is 4 5 6 10?")
