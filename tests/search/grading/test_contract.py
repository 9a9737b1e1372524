"""Every domain of the core keeps the contract of graders."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from search.grading.protocol import Domain
from search.grading.registry import domain
from search.problem import Problem
from search.testing.grader import GraderContract


def made(name: str, question: str, answer: str, **meta: object) -> Problem:
    return Problem("p", "f", name, question, answer, meta)


class TestText(GraderContract):
    right = ("First this\n# Rome", "rome")
    wrong = ("Bonn", "I think so\nParis")

    @pytest.fixture
    def domain(self) -> Domain:
        return domain("text")

    @pytest.fixture
    def problem(self) -> Problem:
        return made("text", "What is the capital of Italy?", "Rome")


class TestMath(GraderContract):
    right = ("so it is \\boxed{\\frac{1}{2}}", "The answer is: 0.5")
    wrong = ("so it is \\boxed{2}", "The answer is: 1/3")
    unreadable = ("", "no number at all")

    @pytest.fixture
    def domain(self) -> Domain:
        return domain("math")

    @pytest.fixture
    def problem(self) -> Problem:
        return made("math", "What is 1 / 2?", "\\frac{1}{2}")


class TestGame24(GraderContract):
    right = ("Answer: 4 * (10 - 4) * 1 = 24", "Answer: (10 - 4) * 4 * 1 = 24")
    wrong = ("Answer: 4 + 10 + 4 + 1 = 24",)
    needs_reference = False
    unreadable = ("",)

    @pytest.fixture
    def domain(self) -> Domain:
        return domain("game24")

    @pytest.fixture
    def problem(self) -> Problem:
        return made("game24", "4 4 10 1", "24")


SINGLE: Mapping[str, Problem] = {
    "quantity": made("quantity", "How long is it?", "2.5 km"),
    "formula": made("formula", "What is water?", "H2O"),
}


class TestQuantity(GraderContract):
    right = ("The answer is 2.5 km", "The answer is 2500 m")
    wrong = ("The answer is 2.5 m",)
    unreadable = ("", "no idea")

    @pytest.fixture
    def domain(self) -> Domain:
        return domain("quantity")

    @pytest.fixture
    def problem(self) -> Problem:
        return SINGLE["quantity"]


class TestFormula(GraderContract):
    right = ("The answer is H2O",)
    wrong = ("The answer is CO2",)
    unreadable = ("",)

    @pytest.fixture
    def domain(self) -> Domain:
        return domain("formula")

    @pytest.fixture
    def problem(self) -> Problem:
        return SINGLE["formula"]
