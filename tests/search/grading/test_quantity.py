"""Quantities: numbers with units and a tolerance; every answer of SciBench's chemistry sets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.quantity import QuantityDomain, plain_unit, quantity
from search.grading.registry import domain
from search.problem import Problem
from search.votes import group

QUANTITY = QuantityDomain()
DATA = os.environ.get("PLANNER_DATA")
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
