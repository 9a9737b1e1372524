"""Programs over one list, one operation a line, graded by what they return.

The whole text of a solution is the program; its last line is ``return x``, so that a program cut
off by a token limit is unreadable rather than silently shorter. ``Problem.answer`` is a JSON list
of hidden tests ``[[input, output], ...]`` and ``meta["public"]`` a list of input lists on which
votes are compared. Programs run in :mod:`training.lab.graders.interpreter` and nowhere else.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem
from training.lab.graders.interpreter import MAX_LINES, is_return, parses, run

__all__ = ["CodeDomain", "hidden_tests", "program_lines"]

#: where votes are compared when a question comes without public inputs
BUILT_IN_INPUTS = ((3, 1, 4, 1, 5, 9), (2, 7, 1, 8, 2, 8), (10, 6, 0, 15, 11), (5, 12, 13, 4, 9, 6, 2))

_CLAIM = re.compile(r"\blist x\b|^-?[0-9]+( -?[0-9]+)* -> ", re.MULTILINE)


class CodeDomain(Domain):
    """Reads, compares and grades programs. Stateless; never executes Python."""

    name = "code"
    caption = "programs of the lab's small language"

    def read(self, problem: Problem, text: str) -> str | None:
        """The program with its lines stripped and blank lines dropped.

        ``None`` if a line lies outside the interpreter's subset, if ``return`` is missing or if
        anything follows it.
        """
        lines = program_lines(text)
        if not lines or len(lines) > MAX_LINES:
            return None
        body = lines[:-1]
        if not is_return(lines[-1]) or any(is_return(line) or not parses(line) for line in body):
            return None
        return "\n".join(lines)

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Whether two programs return the same on every public input (a failure is an output too)."""
        if first == second:
            return True
        inputs = _public(problem)
        return all(run(first, values).value == run(second, values).value for values in inputs)

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Whether a program returns the expected output on every hidden test."""
        tests = _hidden(problem)
        if answer is None:
            return False
        return all(run(answer, given).value == expected for given, expected in tests)

    def claims(self, question: str) -> bool:
        """Whether a question speaks of ``the list x`` or shows examples ``1 2 -> 2 4``."""
        return _CLAIM.search(question) is not None


def program_lines(text: str) -> list[str]:
    """The stripped lines of a text, blank ones dropped."""
    return [line for line in map(str.strip, text.split("\n")) if line]


def _hidden(problem: Problem) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    if problem.answer is None:
        raise GradingError(f"a reference answer is needed to grade, got None in {problem.problem_id!r}")
    return hidden_tests(problem.answer)


@lru_cache(maxsize=4096)
def hidden_tests(answer: str) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """The tests in a reference answer: pairs of input and expected output.

    Raises GradingError if it is not a JSON list of one or more ``[input, output]`` pairs of lists.
    """
    try:
        pairs = json.loads(answer)
    except (ValueError, RecursionError):
        raise GradingError(f"hidden tests must be JSON, got {answer[:80]!r}") from None
    if not isinstance(pairs, list) or not pairs:
        raise GradingError(f"hidden tests must be a list of [input, output], got {answer[:80]!r}")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_numbers, pair)):
            raise GradingError(f"a hidden test must be two lists of whole numbers, got {pair!r}")
    return tuple((tuple(given), tuple(expected)) for given, expected in pairs)


def _public(problem: Problem) -> tuple[tuple[int, ...], ...]:
    inputs = problem.meta.get("public")
    if inputs is None:
        return BUILT_IN_INPUTS
    if not isinstance(inputs, list | tuple) or not inputs or not all(map(_is_numbers, inputs)):
        raise GradingError(f"public inputs must be lists of whole numbers, got {inputs!r}")
    return tuple(tuple(values) for values in inputs)


def _is_numbers(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(type(value) is int for value in values)
