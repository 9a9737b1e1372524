"""A problem: a question with an id, a family and a domain and, offline, a reference answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.errors import ProblemError

__all__ = ["Problem", "checked_question"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One question.

    Parameters
    ----------
    problem_id:
        Unique within a problem set.
    family:
        The template family (or the data set's own grouping). Cross-fitting never splits one.
    domain:
        Names the grader: ``arithmetic``, ``puzzle``, ``code``, ``chemistry``, ...
    question:
        The text that the policy sees.
    answer:
        The reference answer in the domain's own notation; ``None`` online.
    meta:
        JSON values that the domain needs beside the question (public test inputs, say). Never
        shown to the policy.

    >>> Problem("sum-1", "sums", "arithmetic", "What is 3 + 4?", "7").answer
    '7'
    """

    problem_id: str
    family: str
    domain: str
    question: str
    answer: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.problem_id:
            raise ProblemError("a problem needs an id, got ''")
        if not self.question.strip():
            raise ProblemError(f"a problem needs a question, got {self.question!r} in {self.problem_id!r}")


def checked_question(question: str) -> str:
    """A question without white space around it. Raises ProblemError where that is no text.

    >>> checked_question(" What is 3 + 4? ")
    'What is 3 + 4?'
    """
    if not isinstance(question, str) or not question.strip():
        raise ProblemError(f"a question is a text, got {question!r}")
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise ProblemError(f"a question is text that UTF-8 can hold, got {question!r}") from error
    return question.strip()
