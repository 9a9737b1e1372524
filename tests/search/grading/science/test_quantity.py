"""Quantities: numbers with units and a tolerance; every answer of SciBench's chemistry sets."""

# ruff: noqa: RUF001 (characters that probe alike are what it reads)
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.registry import domain
from search.grading.science.quantity import QuantityDomain, plain_unit, quantity
from search.problem import Problem
from search.voting.votes import group

QUANTITY = QuantityDomain()
DATA = os.environ.get("PLANNER_DATA")
#: units in a few of their spellings
DRESSED = {
    "": [""],
    "m/s^2": [
        r"\mathrm{m\,s^{-2}}",
        "m/s²",
        r"\frac{\text{m}}{\text{s}^2}",
        "m·s⁻²",
        "meters per second squared",
    ],
    "kJ/mol": ["kJ mol^-1", r"\text{ kJ/mol}", "kJ·mol⁻¹", "kJ per mole"],
    "J/(mol K)": ["J/mol·K", "J/mol/K", "J mol^-1 K^-1", r"\mathrm{J\,K^{-1}\,mol^{-1}}"],
    "cm^3": ["mL", "cc", "cm³", r"\mathrm{cm}^3"],
}
SETS = {"atkins": 105, "chemmc": 38, "matter": 47, "quan": 33}


def posed(answer: str | None = "1.5 kJ", **meta: object) -> Problem:
    return Problem("p", "f", "quantity", "How much heat?", answer, meta)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\boxed{50.7\,\mathrm{atm}}", "50.7 atm"),
        (r"\boxed{1.31 \times 10^{-3} \mathrm{~K}^{-1}}", "0.00131 K^-1"),
        ("the answer is 3.52e-19 J.", "3.52e-19 J"),
        (r"\boxed{q = -17~\mathrm{J}}", "-17 J"),
        (r"\boxed{\frac{1}{3}}", "0.3333333333"),
        ("#### 3 / 2", "1.5"),
        ("#### 1,200 J", "1200 J"),
        ("#### 2x10^3 m", "2000 m"),
        ("#### 10^{5} Pa", "100000 Pa"),
        ("#### 5 J/(mol K)", "5 J*K^-1*mol^-1"),
        (r"\boxed{25^{\circ}\mathrm{C}}", "25 °C"),
        (r"\boxed{54.7^\circ}", "54.7 deg"),
        (r"\boxed{11~\mu\mathrm{m}}", "11 µm"),
        (r"\boxed{0.25\%}", "0.25 %"),
        ("#### 50.7 atm of pressure", "50.7 atm"),
        ("#### 1.07 10^16 photons", "1.07e+16 photons"),
        ("#### 5", "5"),
        ("#### 1/0", None),
        ("#### many", None),
        ("#### " + "9" * 500, None),
        ("5 J", None),
    ],
)
def test_reading(text: str, found: str | None) -> None:
    assert QUANTITY.read(posed(), text) == found


def test_plain_units() -> None:
    assert plain_unit(r"$\mathrm{KJ} \mathrm{mol}^{-1}$") == "kJ mol^-1"
    assert plain_unit(r"$\text{kPA}$") == "kPa"
    assert plain_unit(r"$\mathrm{JK}^{-1} \mathrm{~mol}^{-1}$") == "J K^-1 mol^-1"
    assert plain_unit(" ") == ""


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("1.5 kJ", True),
        ("1.51 kJ", True),
        ("1.52 kJ", False),
        ("1500 J", True),
        ("0.3585 kcal", True),
        ("1.5", True),
        ("1500", False),
        ("1.5 kW", False),
        ("1.5 kJ*mol^-1", False),
        ("-1.5 kJ", False),
        ("1.5 photons", False),
    ],
)
def test_grading_converts_and_tolerates(answer: str, right: bool) -> None:
    assert QUANTITY.grade(posed(), answer) is right


def test_the_tolerance_is_the_problems() -> None:
    assert QUANTITY.grade(posed(tolerance=0.05), "1.56 kJ")
    assert not QUANTITY.grade(posed(tolerance=0.0), "1.5001 kJ")
    for wrong in ("0.05", -0.1, 1.0, True):
        with pytest.raises(GradingError, match=r"tolerance must be a number in \[0, 1\), got"):
            QUANTITY.grade(posed(tolerance=wrong), "1.5 kJ")


def test_temperatures_are_converted_with_their_zero() -> None:
    assert QUANTITY.grade(posed("300.15 K"), "27 °C")
    assert not QUANTITY.grade(posed("27 K"), "27 °C")


def test_zero_is_close_to_zero_alone() -> None:
    assert QUANTITY.grade(posed("0 J"), "0 kJ")
    assert not QUANTITY.grade(posed("0 J"), "0.001 J")


def test_a_reference_is_a_quantity() -> None:
    assert not QUANTITY.grade(posed(), None)
    for answer in (None, "", "some"):
        with pytest.raises(GradingError, match="must be a number and a unit, got"):
            QUANTITY.grade(posed(answer), "1 J")
    with pytest.raises(GradingError, match="an answer must be a number and a unit, got 'no number'"):
        QUANTITY.equal(posed(), "no number", "1 J")


def test_votes_in_other_units_are_one_vote() -> None:
    answers = ["1.5 kJ", "1501 J", "2 kJ", None, "1.5 kW"]
    assert group(posed(), domain("quantity"), answers) == [0, 0, 1, -1, 2]


@settings(deadline=None)  # the first case imports a library
@example("0A2E")  # a letter that is a direction, and a unit when it is small
@given(st.one_of(st.text(), st.text("0123456789.,e+-*/^ {}()\\mathrmKJolgatm%°µ$")))
def test_any_text_is_read_and_canonical_notation_is_kept(text: str) -> None:
    found = quantity(text)
    assert found is None or quantity(found) == found


@pytest.mark.parametrize("name", SETS)
def test_every_answer_of_scibench_is_graded(name: str) -> None:
    if DATA is None:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    records = json.loads((Path(DATA) / "problem_sets" / f"scibench_{name}.json").read_text(encoding="utf-8"))
    assert len(records) == SETS[name]
    for record in records:
        number, unit = record["answer_number"].strip(), record["unit"]
        problem = posed(f"{number} {unit}", tolerance=0.05)
        boxed = QUANTITY.read(problem, rf"So it is \boxed{{{number}~{unit}}}.")
        assert QUANTITY.grade(problem, boxed), record
        said = QUANTITY.read(problem, f"Therefore the final answer is: {number} {plain_unit(unit)}.")
        assert QUANTITY.grade(problem, said), record
        assert said is not None
        value, _, rest = said.partition(" ")
        other = f"{float(value) * 1.2 if float(value) else 1.0:.10g} {rest}".strip()
        assert not QUANTITY.grade(problem, other), record


EQUAL = [
    ("5 m/s^2", "5 m·s⁻²"),
    ("6.02e23", "6.02×10²³"),
    ("-5 J", "–5 J"),
    ("6.283", "2\\pi"),
    ("0.7071", "\\frac{\\sqrt2}{2}"),
    ("101325 Pa", "101 325 Pa"),
    ("101325 Pa", "101\\,325\\ \\text{Pa}"),
    ("101325 Pa", "1.01325\\times10^5\\,\\text{Pa}"),
    ("5 kJ", "\\Delta H = 5 kJ"),
    ("5 kJ", "\\Delta H^\\circ_{rxn} = 5\\ \\mathrm{kJ}"),
    ("4.18 J/(g K)", "4.18 J/g°C"),
    ("4.18 J/(g K)", "4.18 J/(g·K)"),
    ("4.18 J/(g K)", "4.18 J/g K"),
    ("0.35", "35%"),
    ("35%", "0.35"),
    ("35%", "35"),
    ("35%", "35\\%"),
    ("5000000", "5\\text{ million}"),
    ("10°N", "10°N"),
    ("1.5 kJ", "(1.5 \\times 10^3)\\ J"),
    ("3e8 m/s", "3.00 \\times 10^{8} m s^{-1}"),
    ("3e8 m/s", "(3.00\\pm0.01) \\times 10^{8} m/s"),
    ("5 m", "5.0 ± 0.1 m"),
    ("5 m", "5"),
    ("9.81 m/s^2", "9.81\\ \\frac{\\text{m}}{\\text{s}^2}"),
    ("9.81 m/s^2", "9.81 meters per second squared"),
    ("9.81 m/s^2", "9.81 m/s/s"),
    ("9.81 m/s^2", "9.81 m s-2"),
    ("9.81 m/s^2", "9.81 m/s2"),
    ("100 km/h", "27.8 m/s"),
    ("100 km/h", "100 kph"),
    ("0.05 m^3", "50 L"),
    ("50 L", "50 litres"),
    ("1000 kg/m^3", "1 g/cm³"),
    ("1000 kg/m^3", "1 g cm^{-3}"),
    ("1.2 MeV", "1.2 Mev"),
    ("1 eV", "1.602e-19 J"),
    ("3.14", "\\pi"),
    ("0.5", "\\frac12"),
    ("0.5", "1/2"),
    ("0.5", "½"),
    ("2.5", "2½"),
    ("2.5", "2 1/2"),
    ("11.8333", "11 5/6"),
    ("1200", "1{,}200"),
    ("1200", "1,200"),
    ("1,200 J", "1200 J"),
    ("100, 200", "100, 200"),
    ("100, 200 K", "100 K and 200 K"),
    ("-1.5e-3", "-1.5 \\cdot 10^{-3}"),
    ("1.5e-3", "1.5e-3"),
    ("1e-7", "10^{-7}"),
    ("1e-07", "10^{-7}"),
    ("0.3679", "e^{-1}"),
    ("7.389", "\\mathrm{e}^{2}"),
    ("0.5", "\\sin 30^\\circ"),
    ("0.5", "\\cos(60°)"),
    ("0.6931", "\\ln(2)"),
    ("2.3026 J", "\\ln 10\\,\\text{J}"),
    ("1.4142 m", "\\sqrt{2}\\,m"),
    ("1.26 m", "\\sqrt[3]{2} m"),
    ("45°", "45^\\circ"),
    ("45°", "45 degrees"),
    ("45°", "0.785 rad"),
    ("45 deg", "45"),
    ("60 rpm", "1 Hz"),
    ("5 N m", "5 J"),
    ("1 atm", "760 mm Hg"),
    ("0.25 M", "0.25 mol L^{-1}"),
    ("0.25 M", "250 mM"),
    ("0.25 M", "0.25 mol dm⁻³"),
    ("5 m", "x=5\\,\\mathrm{m}"),
    ("6 m", "x = 2 + 4 = 6 m"),
    ("6 m", "x = 2 \\cdot 3 = 6 m"),
    ("5", "5 = x"),
    ("3 J", "3 J (approximately)"),
    ("3 J", "3 J to 3 significant figures"),
    ("3 J", "\\approx 3\\ J"),
    ("3 J", "approximately 3 J"),
    ("12 g", "12 g NaCl"),
    ("5 N", "5 N upward"),
    ("2 photons", "2 photon"),
    ("25 °C", "298 K"),
    ("25 C", "25 °C"),
    ("25 °C", "25 degrees Celsius"),
    ("5 kg", "5 kilograms"),
    ("5 kg", "5 Kg"),
    ("5 μF", "5 \\mu F"),
    ("5 μF", "5 uF"),
    ("5 μF", "5e-6 F"),
    ("5 Ω", "5 ohms"),
    ("5 Ω", "5\\,\\Omega"),
    ("5 kΩ", "5\\ k\\Omega"),
    ("5 kΩ", "5000 Ω"),
    ("5 cm^3", "\\SI{5}{\\centi\\meter\\cubed}"),
    ("5 m/s", "\\SI{5}{\\meter\\per\\second}"),
    ("5 kJ/mol", "5 kJ mol-1"),
    ("5 kJ/mol", "\\frac{5\\,\\text{kJ}}{\\text{mol}}"),
    ("0", "0 m"),
    ("120", "5!"),
    ("1/3", "0.333333"),
    ("$5", "5"),
    ("5 dollars", "$5"),
    ("1.5", "1.5 × 10^0"),
    ("2", "1\\times2"),
    ("5 W/(m^2 K)", "5 W/m²K"),
    ("5 W/(m^2 K)", "5 W m^{-2} K^{-1}"),
    ("5 W/(m^2 K)", "5 W/m^2·K"),
    ("5 W/(m^2 K)", "5\\ \\mathrm{W/(m^2\\cdot K)}"),
    ("7.4", "pH ≈ 7.4"),
    ("5 A", "5 amperes"),
    ("2 mol", "2 moles"),
    ("0.02", "2 %"),
    ("3 min", "180 seconds"),
    ("3 s^-1", "3 Hz"),
    ("3 s^-1", "3 /s"),
    ("3 1/s", "3 s^{-1}"),
    ("1 L atm", "101.325 J"),
    ("22.4 L/mol", "22.4 L per mol"),
    ("1.6e-19 C", "1.6×10⁻¹⁹ C"),
    ("5e-10", "5\\times10^{-10}"),
    ("1.23 × 10^4", "12300"),
    ("12,300 m", "1.23×10^4 m"),
    ("-273.15 °C", "0 K"),
    ("5 m", "\\mathbf{5\\ m}"),
    ("5 m", "\\text{5 m}"),
    ("5 m", "**5 m**"),
    ("42", "42."),
    ("5 %", "5 percent"),
    ("2 h 30 min", "2.5 h"),
    ("-3", "−3"),
    ("1,5 m", "1,5 m"),
]
EQUAL += [
    ("9.8 m/s^2", r"9.8\ \text{ms}^{-2}"),
    ("5 /ms", "5000 s^-1"),
    ("22 °C", "22 ^{\\circ}C"),
    ("1.6e-6 C", r"1.60 \mu\text{C}"),
    ("4.5 billion years", "4.5e9 yr"),
    ("5 M^-1 s^-1", "5 L/(mol s)"),
    ("8", "2³"),
]
DIFFERENT = [
    ("98", r"98\%"),
    ("5 m/s", "5 /ms"),
    ("5 m/s", "5 m/s²"),
    ("-5 J", "5 J"),
    ("2", "2\\pi"),
    ("0.35", "0.35%"),
    ("35", "35%"),
    ("35%", "0.35%"),
    ("2", "2\\mathrm{i}"),
    ("5", "5\\text{ million}"),
    ("10°N", "10°S"),
    ("5 AM", "5 PM"),
    ("5 m", "4-6 m"),
    ("5 m", "4–6 m"),
    ("5 m", "> 5 m"),
    ("5 m", "5 kg"),
    ("115/6", "11 5/6"),
    ("100, 200", "100200"),
    ("100 K", "100, 200 K"),
    ("1", "1, 100"),
    ("5 Gy", "5 Sv"),
    ("0.25 M", "0.25 m"),
    ("5 m", "v = 5 m/s"),
    ("2", "2x"),
    ("5 N up", "5 N down"),
    ("5 m/s north", "5 m/s south"),
    ("2 photons", "2 electrons"),
    ("25 °C", "25 K"),
    ("5 kJ/mol", "5 kJ"),
    ("0 J", "1e-9 J"),
    ("5", "5!"),
    ("3 h", "3:00"),
    ("5 m", "5 s"),
    ("5 m^2", "5 m"),
    ("1e23", "10^{10^{10}}"),
    ("5 mg/L", "5 ppm"),
    ("1.5 m", "1,5 m"),
    ("4 kJ", "4 kcal"),
    ("20 K", "20 °C"),
]


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_one_quantity_in_many_spellings(reference: str, answer: str) -> None:
    problem = posed(reference, tolerance=0.02)
    for text in (f"So we find \\boxed{{{answer}}}.", f"Work.\n#### {answer}"):
        assert QUANTITY.grade(problem, QUANTITY.read(problem, text)), text


@pytest.mark.parametrize(("reference", "answer"), DIFFERENT)
def test_what_is_close_by_a_misreading_alone(reference: str, answer: str) -> None:
    problem = posed(reference, tolerance=0.02)
    assert not QUANTITY.grade(problem, QUANTITY.read(problem, f"So we find \\boxed{{{answer}}}."))


@pytest.mark.parametrize(
    "text",
    [
        "3x+2",
        "mgh",
        "2i",
        "4-6 m",
        "between 4 and 6 m",
        "> 5 m",
        "±5 m",
        "10^{10^{10}}",
        "9^{9^{9^9}}",
        "1/0",
        r"\sqrt{-1}",
        r"\ln 0",
        "(" * 200,
        "{" * 200,
        r"\frac" * 40,
        "2x = 6",
        "5 5",
        "3:00",
        "171!",
        "5 m = ",
        "= 5 x+1",
        "1e999",
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    assert quantity(text) is None


@given(
    st.tuples(st.integers(-999_999, 999_999), st.integers(-30, 20)).map(
        lambda pair: float("{}e{}".format(*pair))
    ),
    st.sampled_from(sorted(DRESSED)),
)
def test_a_number_equals_itself_in_any_dressing_and_no_other(value: float, unit: str) -> None:
    problem = posed(f"{value!r} {unit}", tolerance=1e-9)
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    for number in (
        f"{value:.6g}",
        f"{mantissa} \\times 10^{{{int(exponent)}}}",
        f"{mantissa}·10^({int(exponent)})",
    ):
        for dressed in DRESSED[unit]:
            assert QUANTITY.grade(problem, QUANTITY.read(problem, f"\\boxed{{{number} {dressed}}}")), (
                number,
                dressed,
            )
    other = value * 1.01 or 1e-6
    assert not QUANTITY.grade(problem, QUANTITY.read(problem, f"\\boxed{{{other!r} {unit}}}"))
