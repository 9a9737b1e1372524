"""Arithmetic: the answer is the whole number on the last line that begins with ``#``."""

from __future__ import annotations

import re

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["ArithmeticDomain"]

_ANSWER = re.compile(r"#\s*(-?[0-9]{1,12})\s*")
_NUMBER = re.compile(r"[0-9]")


class ArithmeticDomain(Domain):
    """Whole numbers, compared as numbers: ``#042`` and ``#42`` are one answer, ``42``."""

    name = "arithmetic"
    exact = True

    def read(self, problem: Problem, text: str) -> str | None:
        """The number after ``#`` on the last line that is not blank; None if there is none."""
        lines = text.strip().splitlines()
        match = _ANSWER.fullmatch(lines[-1].strip()) if lines else None
        return str(int(match.group(1))) if match else None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        return first == second

    def grade(self, problem: Problem, answer: str | None) -> bool:
        if problem.answer is None or _ANSWER.fullmatch(f"#{problem.answer}") is None:
            raise GradingError(
                f"an arithmetic reference answer is a whole number, got {problem.answer!r} "
                f"in {problem.problem_id!r}"
            )
        return answer is not None and int(answer) == int(problem.answer)

    def claims(self, question: str) -> bool:
        return _NUMBER.search(question) is not None
