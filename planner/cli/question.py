"""Reads a question from an argument or, for ``-``, from standard input."""

from __future__ import annotations

import sys

from search.errors import ProblemError
from search.problem_sets.problem_set import LONGEST_QUESTION

__all__ = ["read_question"]


def read_question(argument: str) -> str:
    """The question's text, stripped.

    ``-`` reads standard input, at most one character beyond ``LONGEST_QUESTION``, so that a file of any
    size is refused without being held in memory. Raises ProblemError for text that is empty, too
    long or not UTF-8.
    """
    if argument == "-":
        try:
            text = sys.stdin.read(LONGEST_QUESTION + 1)
        except UnicodeDecodeError as error:
            raise ProblemError(
                f"a question must be UTF-8 text, got bytes that are not: {error.reason}"
            ) from error
        length = f"more than {LONGEST_QUESTION:,}" if len(text) > LONGEST_QUESTION else f"{len(text):,}"
    else:
        text, length = argument, f"{len(argument):,}"
    if len(text) > LONGEST_QUESTION:
        raise ProblemError(f"a question has at most {LONGEST_QUESTION:,} characters, got {length}")
    text = text.strip()
    if not text:
        raise ProblemError("a question must hold some text, got only white space")
    return text
