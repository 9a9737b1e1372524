"""Mappings: columns by role, the first that is there."""

from __future__ import annotations

import pytest

from search.errors import ProblemError
from search.problem_sets.mapping import ProblemMapping

MINE = ProblemMapping(
    "mine", "text", question=("q", "Q"), answer=("a",), problem_id=("id",), family=("kind",), meta=("year",)
)


def test_the_first_column_that_is_there_is_taken() -> None:
    full = MINE.problem({"q": " 1+1? ", "Q": "no", "a": "2", "id": 7, "kind": "sums", "year": 2024}, "row 1")
    assert (full.problem_id, full.family, full.domain) == ("mine/7", "sums", "text")
    assert (full.question, full.answer, full.meta) == ("1+1?", "2", {"year": 2024})
    bare = MINE.problem({"q": None, "Q": "Tom has 3 apples?", "a": 27.0}, "row 2")
    twin = MINE.problem({"q": "Tom has 12 apples?", "a": "x"}, "row 3")
    assert bare.answer == "27"
    assert bare.family == twin.family == ""  # found when the whole set is there
    assert bare.problem_id != twin.problem_id
    assert bare.meta == {}


def test_numbers_are_not_twisted_and_nan_is_no_answer() -> None:
    told = [MINE.problem({"q": "1?", "a": value}, "row 1").answer for value in (1e-07, 0.1, 3.0, 10**20)]
    assert told == ["0.0000001", "0.1", "3", "100000000000000000000"]
    with pytest.raises(ProblemError, match="one of the columns 'a' is needed"):
        MINE.problem({"q": "1?", "a": float("nan")}, "row 1")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"a": "2"}, r"row 1: one of the columns 'q', 'Q' is needed, got 'a'"),
        ({}, r"is needed, got none"),
        ({"q": "1?", "b": 1}, r"one of the columns 'a' is needed, got 'b', 'q'"),
        ({"q": " ", "a": "2"}, r"row 1: a problem needs a question, got ''"),
        ({"q": "1?", "a": " "}, r"a problem needs a reference answer, got ''"),
        ({"q": ["1?"], "a": "2"}, r"row 1: q must be a text or a number, got"),
        ({"q": True, "a": "2"}, r"row 1: q must be a text or a number, got 'True'"),
    ],
)
def test_records_that_are_no_problem_are_named(record: dict[str, object], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        MINE.problem(record, "row 1")


def test_roles_can_have_other_columns() -> None:
    other = MINE.with_columns({"question": "text", "answer": "key"}, "math")
    assert other.problem({"text": "1+1?", "key": 2, "q": "no"}, "row 1").question == "1+1?"
    assert other.domain == "math"
    assert other.problem_id == MINE.problem_id
    with pytest.raises(ProblemError, match=r"a role must be one of problem_id, .*, got 'hint'"):
        MINE.with_columns({"hint": "h"})


def test_a_mapping_needs_a_name_a_domain_and_columns() -> None:
    with pytest.raises(ProblemError, match="needs a name and a domain, got '', 'math'"):
        ProblemMapping("", "math")
    with pytest.raises(ProblemError, match="needs a column for the answer, got none in 'mine'"):
        ProblemMapping("mine", "math", answer=())
