"""Reads and grades "even" and "odd"."""

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem

WORDS = ("even", "odd")


class Parity(Domain):
    """The answer is the last line: even or odd."""

    name = "parity"
    caption = "even or odd"
    exact = True

    def read(self, problem: Problem, text: str) -> str | None:
        lines = text.split("\n")
        word = lines[-1].strip(" #.").lower()
        return word if word in WORDS else None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        return first == second

    def grade(self, problem: Problem, answer: str | None) -> bool:
        if problem.answer not in WORDS:
            raise GradingError(f"a problem of parity is answered by even or odd, got {problem.answer!r}")
        return answer == problem.answer

    def claims(self, question: str) -> bool:
        return question.endswith("even or odd?")
