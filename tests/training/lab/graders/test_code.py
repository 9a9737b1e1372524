"""Reading, comparing and grading programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GradingError
from search.problem import Problem
from training.lab.graders.code import CodeDomain

CODE = CodeDomain()


def problem(answer: str | None = "[[[1,2],[2,3]],[[5],[6]]]", public: object = None) -> Problem:
    meta = {} if public is None else {"public": public}
    return Problem("p", "f", "code", "Change the list x: add 1 to each.", answer, meta)


def test_read_strips_and_wants_a_return() -> None:
    assert CODE.read(problem(), "  x=[v+1 for v in x] \r\n\n return x\n") == "x=[v+1 for v in x]\nreturn x"
    assert CODE.read(problem(), "return x") == "return x"
    for text in (
        "",
        "\n",
        "x=x",
        "x=x\nreturn x\nx=x",
        "return x\nreturn x",
        "hello\nreturn x",
        "x=x\0\nreturn x",
    ):
        assert CODE.read(problem(), text) is None
    assert CODE.read(problem(), "x=x\n" * 100 + "return x") is None
    assert CODE.read(problem(), "x=" + "9" * 10_000_000 + "\nreturn x") is None


@given(st.text())
def test_read_never_raises(text: str) -> None:
    found = CODE.read(problem(), text)
    assert found is None or CODE.read(problem(), found) == found


def test_grade_runs_the_hidden_tests() -> None:
    assert CODE.grade(problem(), "x=[v+1 for v in x]\nreturn x")
    assert CODE.grade(problem(), "x=[1+v for v in x]\nreturn x")
    assert not CODE.grade(problem(), "x=[v+2 for v in x]\nreturn x")
    assert not CODE.grade(problem(), "x=[v+1 for v in x]")
    assert not CODE.grade(problem(), "x=x[7]\nreturn x")
    assert not CODE.grade(problem(), None)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        "3",
        "[]",
        "[3]",
        "[[[1],[2],[3]]]",
        "[[[1],2]]",
        '[[["a"],[1]]]',
        "[[[1.5],[1]]]",
        "[" * 9999,
    ],
)
def test_grade_refuses_a_reference_it_cannot_use(answer: str | None) -> None:
    with pytest.raises(GradingError):
        CODE.grade(problem(answer), "return x")


def test_equal_compares_outputs_on_public_inputs() -> None:
    one, other = "x=[v+1 for v in x]\nreturn x", "x=[v+2 for v in x]\nx=[v-1 for v in x]\nreturn x"
    assert CODE.equal(problem(), one, other)
    assert not CODE.equal(problem(), one, "return x")
    first, same_on_public = "x=x[:1]\nreturn x", "x=sorted(x)\nreturn x"
    assert CODE.equal(problem(public=[[4], [7]]), first, same_on_public)
    assert not CODE.equal(problem(public=[[4], [9, 7]]), first, same_on_public)
    # The built-in inputs speak for a question without public ones.
    assert not CODE.equal(problem(), first, same_on_public)
    with pytest.raises(GradingError, match="public inputs"):
        CODE.equal(problem(public=[["a"]]), first, same_on_public)


def test_claims_its_own_questions_only() -> None:
    assert CODE.claims("Change the list x: sort.")
    assert CODE.claims("Which steps?\n2 5 1 -> 4 10 2")
    for other in (
        "Use the numbers 3 5 8 to make 24.",
        "Tom has 3 apples and buys 4 more. How many?",
        "2 H2 + O2 = 2 H2O. What mass of H2O do 3 mol of O2 give?",
        "What is 3 * (4 + 5)?",
        "Make a shopping list.",
    ):
        assert not CODE.claims(other)
