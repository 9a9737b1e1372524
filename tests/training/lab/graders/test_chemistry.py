"""Reading, comparing and grading quantities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GradingError
from search.problem import Problem
from training.lab.graders.chemistry import ChemistryDomain

CHEMISTRY = ChemistryDomain()


def problem(answer: str | None = "74 g/mol") -> Problem:
    return Problem("p", "f", "chemistry", "What is the molar mass of Ca(OH)2?", answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#74 g/mol", "74 g/mol"),
        ("40+34=74\n# 74.00 g/mol\n", "74 g/mol"),
        ("#1 g\n#36.50g", "36.5 g"),
        ("#2 mol\nno more", "2 mol"),
        (" #0.50 %", "0.5 %"),
        ("#007 g", "7 g"),
        ("#-0.0 g", "0 g"),
        ("#100 g", "100 g"),
        ("#1 g\n#nothing", None),
        ("#74", None),
        ("#74 kg", None),
        ("#1e9 g", None),
        ("#" + "9" * 1000 + " g", None),
        ("x #74 g", None),
        ("74 g/mol", None),
        ("", None),
    ],
)
def test_read(text: str, answer: str | None) -> None:
    assert CHEMISTRY.read(problem(), text) == answer


@given(st.one_of(st.text(), st.text("#0123456789. g/mol%\n-")))
def test_read_never_raises_and_is_canonical(text: str) -> None:
    found = CHEMISTRY.read(problem(), text)
    assert found is None or CHEMISTRY.read(problem(), "#" + found) == found


def test_grade_keeps_unit_and_tolerance() -> None:
    assert CHEMISTRY.grade(problem("200 g"), "201 g")
    assert CHEMISTRY.grade(problem("200 g"), "199 g")
    assert not CHEMISTRY.grade(problem("200 g"), "201.1 g")
    assert not CHEMISTRY.grade(problem("200 g"), "200 g/mol")
    assert not CHEMISTRY.grade(problem("200 g"), "nonsense")
    assert not CHEMISTRY.grade(problem("200 g"), None)
    for answer in (None, "", "200", "g 200"):
        with pytest.raises(GradingError, match="a number and a unit"):
            CHEMISTRY.grade(problem(answer), "200 g")


def test_equal_is_symmetric() -> None:
    for first, second, same in (
        ("200 g", "201 g", True),
        ("200 g", "201.1 g", False),
        ("200 g", "200 mol", False),
        ("0 g", "0 g", True),
        ("0 g", "0.001 g", False),
    ):
        assert CHEMISTRY.equal(problem(), first, second) is same
        assert CHEMISTRY.equal(problem(), second, first) is same
    with pytest.raises(GradingError):
        CHEMISTRY.equal(problem(), "200 g", "two g")


def test_claims_its_own_questions_only() -> None:
    assert CHEMISTRY.claims("What is the molar mass of NaCl?")
    assert CHEMISTRY.claims("How many grams of H2O come from 4 g of H2?")
    for other in (
        "Use the numbers 3 5 8 to make 24.",
        "Tom buys 300 g of sugar and 200 g of flour. How many grams?",
        "Change the list x: sort.",
        "Which steps?\n2 5 1 -> 4 10 2",
    ):
        assert not CHEMISTRY.claims(other)
