"""Formulas and equations by content."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.formula import FormulaDomain, is_balanced, read_chemistry
from search.grading.registry import domain
from search.problem import Problem
from search.votes import group

FORMULA = FormulaDomain()
WATER = "2H2 + O2 -> 2H2O"


def posed(answer: str | None = WATER) -> Problem:
    return Problem("p", "f", "formula", "Balance the equation of burning hydrogen.", answer)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("H2O", "H2O"),
        (r"\mathrm{H}_{2}\mathrm{O}", "H2O"),
        ("H₂O", "H2O"),
        ("OH2", "H2O"),
        ("C2H5OH", "C2H6O"),
        ("CH3CH2OH", "C2H6O"),
        ("Ca(OH)2", "H2CaO2"),
        ("K4[Fe(CN)6]", "C6FeK4N6"),
        ("CuSO4·5H2O", "H10CuO9S"),
        ("CuSO4*5H2O", "H10CuO9S"),
        ("SO4^2-", "O4S^2-"),
        ("SO_4^{2-}", "O4S^2-"),
        ("Na+", "Na^+"),
        ("Fe^{3+}(aq)", "Fe^3+"),
        ("e-", "e^-"),
        ("NaCl(s)", "ClNa"),
        ("Co", "Co"),
        ("CO", "CO"),
        ("H2O2", "H2O2"),
        ("Xx2", None),
        ("water", None),
        ("H2 + O2", None),
        ("H2 -> O2 -> H2O", None),
        ("-> H2O", None),
        ("0 H2 -> H2", None),
        ("H99999999", None),
        ("aa:GG", None),
        ("5wt% NaCl // H2O", None),
        ("", None),
    ],
)
def test_formulas(text: str, found: str | None) -> None:
    assert read_chemistry(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "2H2 + O2 -> 2H2O",
        "2 H2 + 1 O2 = 2 H2O",
        "O2 + 2H2 → 2H2O",
        "4H2 + 2O2 -> 4H2O",
        "H2 + 1/2 O2 -> H2O",
        r"\mathrm{H_2} + \frac{1}{2}\mathrm{O_2} \rightarrow \mathrm{H_2O}",
        r"\ce{2H2(g) + O2(g) -> 2H2O(l)}",
        "H2+H2+O2=2H2O",
    ],
)
def test_one_equation_in_many_spellings(text: str) -> None:
    assert read_chemistry(text) == "2 H2 + O2 -> 2 H2O"
    assert FORMULA.grade(posed(), FORMULA.read(posed(), rf"So \boxed{{{text}}}."))


@pytest.mark.parametrize(
    "text",
    [
        "H2 + O2 -> H2O",
        "2H2O -> 2H2 + O2",
        "H2 + O2 -> H2O2",
        "2H2 + O2 -> 2H2O + e-",
        "H2O",
        "2D2 + O2 -> 2D2O",
    ],
)
def test_other_equations_are_wrong(text: str) -> None:
    assert not FORMULA.grade(posed(), FORMULA.read(posed(), rf"\boxed{{{text}}}"))


def test_charges_are_balanced_too() -> None:
    whole = "MnO4^- + 5Fe^2+ + 8H^+ -> Mn^2+ + 5Fe^3+ + 4H2O"
    read = read_chemistry(whole)
    assert read == "5 Fe^2+ + 8 H^+ + MnO4^- -> 5 Fe^3+ + 4 H2O + Mn^2+"
    assert is_balanced(read)
    assert not is_balanced(read.replace("5 Fe^3+", "5 Fe^2+"))
    assert is_balanced(read_chemistry("Fe^3+ + e- -> Fe^2+") or "")


def test_a_reference_is_balanced() -> None:
    assert not FORMULA.grade(posed(), None)
    for answer in (None, "", "water", "H2 + O2 -> H2O"):
        with pytest.raises(GradingError, match="must be a formula or a balanced equation, got"):
            FORMULA.grade(posed(answer), "H2O")


def test_votes_for_one_content_are_one_vote() -> None:
    answers = ["C2H6O", "CH3CH2OH", "C2H4O", None]
    assert group(posed("C2H6O"), domain("formula"), answers) == [0, 0, 1, -1]


@settings(deadline=None)  # the first case imports a library
@given(st.one_of(st.text(), st.text("CHONaeFl0123456789()[]^+-=>/ {}\\*·")))
def test_any_text_is_read_and_canonical_notation_is_kept(text: str) -> None:
    found = read_chemistry(text)
    assert found is None or read_chemistry(found) == found


def test_it_claims_equations_to_balance() -> None:
    assert FORMULA.claims("Balance the following equation: H2 + O2 -> H2O")
    assert not FORMULA.claims("Is this tree balanced? Solve the equation.")
