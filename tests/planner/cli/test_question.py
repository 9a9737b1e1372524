from __future__ import annotations

import io

import pytest

from planner.cli.question import read_question
from search.errors import ProblemError
from search.problem_sets.problem_set import LONGEST_QUESTION


def test_an_argument_is_the_question() -> None:
    assert read_question("  1 + 2 = \n") == "1 + 2 ="


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("what is 3?\n"))
    assert read_question("-") == "what is 3?"


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_white_space_is_no_question(text: str) -> None:
    with pytest.raises(ProblemError, match="a question must hold some text, got only white space"):
        read_question(text)


def test_the_longest_question_is_taken_and_one_more_is_not() -> None:
    assert len(read_question("x" * LONGEST_QUESTION)) == LONGEST_QUESTION
    with pytest.raises(ProblemError, match=r"at most 100,000 characters, got 100,001"):
        read_question("x" * (LONGEST_QUESTION + 1))


def test_a_megabyte_on_standard_input_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO("x" * 1_000_000)
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(ProblemError, match=r"at most 100,000 characters, got more than 100,000"):
        read_question("-")
    assert stream.tell() == LONGEST_QUESTION + 1


def test_bytes_that_are_no_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))
    with pytest.raises(ProblemError, match="a question must be UTF-8 text, got bytes that are not"):
        read_question("-")
