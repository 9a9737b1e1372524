"""Puzzles: ways are answers; rules of writing, false equations, the target."""

from __future__ import annotations

import pytest

from search.errors import GradingError
from search.problem import Problem
from training.lab.graders.puzzle import Puzzle, PuzzleDomain

DOMAIN = PuzzleDomain()
NUMBERS = Problem("n", "f", "puzzle", "Use the numbers 3,5,4 once each to reach 32")
WALK = Problem("w", "f", "puzzle", "Go from 7 with moves +3,*2,-5 and reach 15 in 2 moves")


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("3+5=8:4,8\n8*4=32:32", "((3+5)*4)=32", True),
        ("5+3=8:8,4\n4*8=32:32", "((3+5)*4)=32", True),
        ("3+5=8:4,8\n8+4=12:12", "((3+5)+4)=12", False),
        ("3+5=9:4,9\n8*4=32:32", None, False),  # 8 is not there
        ("3+5=9:4,9\n9*4=32:32", "3+5=9:4,9; 9*4=32:32", False),  # false equations
        ("3+5=8:4,9\n8*4=32:32", None, False),  # what is left is not that
        ("3+5=8:4,8", None, False),  # not finished
        ("3+5=8:4,8\n8*4=32:32\n32-0=32:32", None, False),  # goes on after the end
        ("3/5=8:4,8", None, False),
        ("", None, False),
    ],
)
def test_numbers(text: str, answer: str | None, right: bool) -> None:
    assert DOMAIN.read(NUMBERS, text) == answer
    assert DOMAIN.grade(NUMBERS, answer) is right


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("7+3=10\n10-5=5", "+3 -5 =5", False),
        ("7*2=14\n14+3=17", "*2 +3 =17", False),
        ("7+3=10\n10*2=15", "7+3=10; 10*2=15", False),
        ("7+8=15", None, False),  # no such move
        ("7+3=10", None, False),  # one move too few
    ],
)
def test_walks(text: str, answer: str | None, right: bool) -> None:
    assert DOMAIN.read(WALK, text) == answer
    assert DOMAIN.grade(WALK, answer) is right


def test_a_right_walk() -> None:
    problem = Problem("w", "f", "puzzle", "Go from 7 with moves +3,*2,-5 and reach 20 in 2 moves")
    assert DOMAIN.grade(problem, DOMAIN.read(problem, "7+3=10\n10*2=20"))


def test_only_allowed_operations_count() -> None:
    problem = Problem("n", "f", "puzzle", "Use the numbers 3,5 once each to reach 15 using only +,-")
    assert DOMAIN.read(problem, "3*5=15:15") is None


def test_a_question_without_a_puzzle_is_refused() -> None:
    with pytest.raises(GradingError, match="names numbers or moves and a target, got 'What is 1'"):
        Puzzle.parse("What is 1")
    assert not DOMAIN.claims("What is 1+1?")
    assert DOMAIN.claims(NUMBERS.question)
    assert DOMAIN.claims(WALK.question)
