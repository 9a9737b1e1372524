"""Formulas and equations by content."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.registry import domain
from search.grading.science.formula import FormulaDomain, is_balanced, read_chemistry
from search.problem import Problem
from search.voting.votes import group

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


#: what stands first, and other spellings of the same
SPELLINGS = {
    "Fe^3+": [
        "Fe3+",
        "Fe^{3+}",
        "Fe³⁺",
        "Fe^(3+)",
        "Fe(3+)",
        "Fe+3",
        "Fe^{+3}",
        "Fe(III)",
        "Fe+++",
        r"\mathrm{Fe}^{3+}",
        r"\ce{Fe^3+}",
        r"\ce{Fe^{3+}(aq)}",
        "Fe^3+ (aq)",
        r"\text{Fe}^{3+}_{(aq)}",
        "Fe 3+",
    ],
    "SO4^2-": [
        "SO42-",
        "SO4^{2-}",
        "SO₄²⁻",
        "SO4 2-",
        "SO4--",
        r"SO_4^{2-}",
        r"SO_{4}^{2-}",
        r"SO_4{}^{2-}",
        "[SO4]2-",
        r"\ce{SO4^2-}",
        r"\ce{SO4^{2-}}",
        "SO4^{2\u2212}",
        "SO4(2-)",
        "SO4^-2",
        r"\mathrm{SO_4^{2-}(aq)}",
    ],
    "NH4^+": ["NH4+", "NH₄⁺", "NH_4^+", "NH4^{+}", "NH4 +", "NH4^1+", r"\mathrm{NH}_4^+"],
    "NO3^-": ["NO3-", "NO₃⁻", "NO_3^-", "NO3^{-}", "NO3^1-", "NO3\u2212"],
    "Cr2O7^2-": ["Cr2O72-", "Cr₂O₇²⁻", "Cr_2O_7^{2-}"],
    "Hg2^2+": ["Hg22+", "Hg_2^{2+}", "Hg₂²⁺"],
    "I3^-": ["I3-", "I₃⁻", "I_3^-"],
    "H3O^+": ["H3O+", "H₃O⁺", "OH3+"],
    "O^2-": ["O2-", "O²⁻", "O^{2-}"],
    "[Fe(CN)6]^3-": ["[Fe(CN)6]3-", "Fe(CN)6^{3-}", "[Fe(CN)₆]³⁻", r"\left[\mathrm{Fe(CN)_6}\right]^{3-}"],
    "[Cu(NH3)4]^2+": ["[Cu(NH3)4]2+", "Cu(NH3)4^{2+}", r"\ce{[Cu(NH3)4]^{2+}}"],
    "CH3COO^-": ["CH3COO-", "CH₃COO⁻", "CH3CO2-", "C2H3O2^-"],
    "e^-": ["e-", "e⁻", "e^{-}", r"\mathrm{e}^-"],
    "CuSO4·5H2O": [
        "CuSO4*5H2O",
        "CuSO4.5H2O",
        "CuSO4 . 5H2O",
        "CuSO4•5H2O",
        r"CuSO_4 \cdot 5H_2O",
        "CuSO4⋅5H2O",
        r"\mathrm{CuSO_4 \cdot 5\,H_2O}",
        r"\ce{CuSO4.5H2O}",
        r"\ce{CuSO4 * 5 H2O}",
        "CuSO4·5(H2O)",
        "CuSO₄·5H₂O",
    ],
    "C2H4": ["CH2=CH2", "H2C=CH2", "CH2CH2", "C₂H₄(g)", r"\mathrm{C}_{2}\mathrm{H}_{4}"],
    "C2H2": ["HC≡CH", "CHCH", r"HC\equiv CH"],
    "C2H6O": [
        "CH3-CH2-OH",
        "C2H5OH(l)",
        "C2H5OH (ethanol)",
        "**C2H6O**",
        "`C2H6O`",
        "$C_2H_6O$",
        r"\ce{C2H5OH}",
    ],
    "2H2 + O2 -> 2H2O": [
        "H2 + ½ O2 → H2O",
        "H2 + ½O2 → H2O",
        "H2 + 0.5O2 ⟶ H2O",
        r"H_2 + \tfrac12 O_2 \to H_2O",
        r"2H_2(g) + O_2(g) \xrightarrow{\Delta} 2H_2O(\ell)",
        r"2H_2 + O_2 \xrightarrow[Pt]{heat} 2H_2O",
        "2H2+O2=2H2O",
        r"\ce{2H2 + O2 ->[\Delta] 2H2O}",
        r"\ce{2 H2_{(g)} + O2_{(g)} <=> 2 H2O_{(l)}}",
        "2H2 + O2 ⇌ 2H2O",
        "O2 + 2H2 --> 2H2O",
        r"2H_2 + O_2 \longrightarrow 2H_2O",
        r"2H_2 + O_2 \overset{\Delta}{\rightarrow} 2H_2O",
        "2H2 + O2 -> 2H2O + heat",
        r"2\text{H}_2\text{(g)} + \text{O}_2\text{(g)} \rightarrow 2\text{H}_2\text{O}\text{(l)}",
        "2H2 + O2 ==> 2H2O.",
        r"(2)\mathrm{H}_2 + (1)\mathrm{O}_2 \rightarrow (2)\mathrm{H}_2\mathrm{O}",
        r"2\,H_2 &+ O_2 \rightarrow 2\,H_2O",
    ],
    "Ag^+ + Cl^- -> AgCl": [
        "Ag+ + Cl- -> AgCl",
        "Ag+(aq) + Cl-(aq) → AgCl(s)↓",
        "Ag⁺ + Cl⁻ → AgCl↓",
        "Ag++Cl-=AgCl",
        r"\mathrm{Ag^+ (aq) + Cl^- (aq) \rightarrow AgCl (s)}",
        r"\ce{Ag+ + Cl- -> AgCl v}",
        r"Ag^{+}+Cl^{-}\to AgCl\downarrow",
    ],
    "CaCO3 + 2H^+ -> Ca^2+ + CO2 + H2O": [
        "CaCO3 + 2H+ -> Ca2+ + CO2 + H2O",
        "CaCO₃ + 2H⁺ → Ca²⁺ + CO₂↑ + H₂O",
        r"CaCO_3(s) + 2H^+(aq) \rightarrow Ca^{2+}(aq) + CO_2(g)\uparrow + H_2O(l)",
        "CaCO3+2H+=Ca2++CO2+H2O",
    ],
    "Fe^2+ -> Fe^3+ + e^-": [
        "Fe2+ -> Fe3+ + e-",
        "Fe²⁺ → Fe³⁺ + e⁻",
        r"\ce{Fe^2+ -> Fe^3+ + e^-}",
        "Fe2+→Fe3++e-",
    ],
    "N2O4 -> 2NO2": [
        "N2O4=2NO2",
        "N2O4 = 2 NO2",
        "N2O4(g) ⇄ 2NO2(g)",
        r"N_2O_4 \rightleftharpoons 2NO_2",
        "½N2O4 → NO2",
    ],
    "^{238}U -> ^{234}Th + ^{4}He": [
        r"{}^{238}_{92}U \rightarrow {}^{234}_{90}Th + {}^{4}_{2}He",
        "²³⁸U → ²³⁴Th + ⁴He",
    ],
    "4Fe + 3O2 -> 2Fe2O3": [
        "2Fe + 1½O2 → Fe2O3",
        r"2Fe + \dfrac{3}{2}O_2 \rightarrow Fe_2O_3",
        "2Fe+1.5O2=Fe2O3",
    ],
    "^{235}U + n -> ^{236}U": [r"{}^{235}_{92}\text{U} + {}^{1}_{0}\text{n} \to {}^{236}_{92}\text{U}"],
    "^{14}C -> ^{14}N + e^-": [r"^{14}_{6}C \to ^{14}_{7}N + ^{0}_{-1}e", r"{}^{14}C \to {}^{14}N + \beta^-"],
}


@pytest.mark.parametrize(
    ("reference", "other"), [(first, one) for first, rest in SPELLINGS.items() for one in rest]
)
def test_one_content_in_many_spellings(reference: str, other: str) -> None:
    problem = posed(reference)
    assert FORMULA.grade(problem, FORMULA.read(problem, rf"So it is \boxed{{{other}}}."))
    assert FORMULA.grade(problem, FORMULA.read(problem, f"Work.\n#### {other}"))


@pytest.mark.parametrize("reference", SPELLINGS)
def test_no_two_of_these_are_one(reference: str) -> None:
    for other in SPELLINGS:
        right = FORMULA.grade(posed(reference), FORMULA.read(posed(reference), rf"\boxed{{{other}}}"))
        assert right is (other == reference), other


@pytest.mark.parametrize(
    ("reference", "other"),
    [
        ("Fe^3+", "Fe2+"),
        ("Fe^3+", "Fe3"),
        ("Fe^3+", "Fe"),
        ("Fe^3+", "Fe3-"),
        ("SO4^2-", "SO4"),
        ("SO4^2-", "SO32-"),
        ("SO4^2-", "SO4-"),
        ("SO4^2-", "SO42+"),
        ("H2O", "D2O"),
        ("Co", "CO"),
        ("CuSO4·5H2O", "CuSO4·4H2O"),
        ("CuSO4·5H2O", "CuSO4"),
        ("2H2 + O2 -> 2H2O", "2H2O -> 2H2 + O2"),
        ("2H2 + O2 -> 2H2O", "2H2 + O2 -> H2O"),
        ("2H2 + O2 -> 2H2O", "1.5H2 + O2 -> 2H2O"),
        ("Ag^+ + Cl^- -> AgCl", "Ag + Cl -> AgCl"),
        ("^{14}C -> ^{14}N + e-", "^{13}C -> ^{13}N + e-"),
        ("^{14}C", "^{13}C"),
    ],
)
def test_other_content_is_wrong(reference: str, other: str) -> None:
    assert not FORMULA.grade(posed(reference), FORMULA.read(posed(reference), rf"\boxed{{{other}}}"))


def test_nuclei_are_balanced_by_mass_and_charge() -> None:
    assert is_balanced("^14C -> ^14N + e^-")
    assert not is_balanced("^14C -> ^13N + e^-")
    assert not is_balanced("^14C -> ^14N")
