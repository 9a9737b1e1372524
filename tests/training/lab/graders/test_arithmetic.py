"""Arithmetic: the number after the last hash."""

from __future__ import annotations

import pytest

from search.errors import GradingError
from search.problem import Problem
from training.lab.graders.arithmetic import ArithmeticDomain

DOMAIN = ArithmeticDomain()
PROBLEM = Problem("p", "f", "arithmetic", "What is 40+2?", "42")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("40+2=42\n#42", "42"),
        ("#042", "42"),
        ("# -7\n", "-7"),
        ("#1\n#42", "42"),
        ("40+2=42", None),
        ("#42\nand so on", None),
        ("#4x2", None),
        ("#9999999999999", None),
        ("", None),
    ],
)
def test_reading(text: str, answer: str | None) -> None:
    assert DOMAIN.read(PROBLEM, text) == answer


def test_grading_compares_numbers() -> None:
    assert DOMAIN.grade(PROBLEM, "42")
    assert not DOMAIN.grade(PROBLEM, "41")
    assert not DOMAIN.grade(PROBLEM, None)


def test_a_reference_that_is_no_number_is_refused() -> None:
    with pytest.raises(GradingError, match="a whole number, got 'many' in 'p'"):
        DOMAIN.grade(Problem("p", "f", "arithmetic", "How many?", "many"), "1")
