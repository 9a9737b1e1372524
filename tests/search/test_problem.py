"""A problem needs an id and a question."""

from __future__ import annotations

import pytest

from search.errors import ProblemError
from search.problem import Problem


def test_a_problem_is_what_it_was_given() -> None:
    problem = Problem("p", "f", "puzzle", "24?", "24", {"numbers": [1, 2]})
    assert (problem.answer, problem.meta["numbers"]) == ("24", [1, 2])
    assert hash(problem) == hash(Problem("p", "f", "puzzle", "24?", "24", {"numbers": [3]}))


@pytest.mark.parametrize(
    ("problem_id", "question", "message"),
    [
        ("", "2+2?", "a problem needs an id, got ''"),
        ("p", "", "a problem needs a question, got '' in 'p'"),
        ("p", " \n", r"a problem needs a question, got ' \\n' in 'p'"),
    ],
)
def test_what_is_missing_is_said(problem_id: str, question: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        Problem(problem_id, "f", "text", question)
