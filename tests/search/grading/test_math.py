"""Reading, comparing and grading mathematical answers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.math import MathDomain, normal
from search.problem import Problem

MATH = MathDomain()


def problem(answer: str | None = "3/8") -> Problem:
    return Problem("p", "f", "math", "How much?", answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"First \boxed{1}, so \boxed{\frac{3}{8}}.", "3/8"),
        (r"\boxed{x^{2}+1}", "x^{2}+1"),
        (r"\boxed{\text{Tuesday}}", "tuesday"),
        (r"\boxed{}", None),
        (r"\boxed{12", None),
        ("He sells 9 * 2 = <<9*2=18>>18\nA: 18", "18"),
        ("So 70,000\n#### 70,000", "70000"),
        ("#### 1\n#### 2", "2"),
        ("**Answer:** 5 dollars", "5dollars"),
        ("the answer is: 1.50.", "3/2"),
        ("It is 18", None),
        ("A: " + "9" * 1000, None),
        ("", None),
    ],
)
def test_reading(text: str, answer: str | None) -> None:
    assert MATH.read(problem(), text) == answer


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "0.5",
            ".5",
            "1/2",
            r"\frac12",
            r"\frac{1}{2}",
            r"\dfrac{1}{2}",
            r"\frac 1 2",
            "+0.50",
            r"$\tfrac{1}{2}$",
        ),
        ("1200", "1,200", r"\$1,200", "1200.0", r"1200\text{ cm}^2", r"1{,}200".replace("{,}", ",")),
        ("11/10", r"1\frac{1}{10}", "1.1"),
        ("-3/8", r"-\frac{3}{8}", r"\frac{-3}{8}", "-.375"),
        ("90", r"90^\circ", r"90^{\circ}", r"90\%", "90%", "x=90"),
        (r"\left(3,\frac{\pi}{2}\right)", r"(3, \frac{\pi}{2})", r"\left( 3, \, \frac{\pi}{2} \right)"),
        ("Tuesday", r"\text{tuesday}", r"\textbf{Tuesday}"),
    ],
)
def test_spellings_of_one_answer_are_one(spellings: tuple[str, ...]) -> None:
    assert len({normal(text) for text in spellings}) == 1
    assert all(MATH.equal(problem(), spellings[0], other) for other in spellings)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1,2", "12"),
        ("(1,234)", "1234"),
        ("x+1", "x+2"),
        ("A", "a"),
        ("1/0", "0"),
        ("2^{3}", "23"),
        ("-1", "1"),
    ],
)
def test_other_answers_stay_apart(first: str, second: str) -> None:
    assert not MATH.equal(problem(), first, second)


@given(st.one_of(st.text(), st.text("\\frac{}()[]0123456789.,/-+=x$% \\textboxed:A#\n")))
def test_reading_never_raises_and_normal_forms_are_fixed_points(text: str) -> None:
    found = MATH.read(problem(), text)
    assert found is None or normal(found) == found
    assert normal(normal(text)) == normal(text)


@given(st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**6))
def test_a_fraction_is_read_in_every_spelling(value: Fraction) -> None:
    top, bottom = value.numerator, value.denominator
    spelled = {normal(f"{top}/{bottom}"), normal(f"\\frac{{{top}}}{{{bottom}}}"), normal(str(value))}
    assert spelled == {str(value)}


def test_grading_needs_a_reference() -> None:
    assert MATH.grade(problem(r"\frac{3}{8}"), "3/8")
    assert not MATH.grade(problem(), "3/7")
    assert not MATH.grade(problem(), None)
    for answer in (None, "", " $ "):
        with pytest.raises(GradingError, match="some mathematics, got"):
            MATH.grade(problem(answer), "1")


def test_claims_questions_with_latex() -> None:
    assert MATH.claims(r"What is $\frac{1}{2} + 1$?")
    assert not MATH.claims("What is 1+2?")
    assert not MATH.claims("Tom pays $5, Ann pays $6. How much together?")
