"""Reading, comparing and grading mathematical answers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GraderDiedError, GraderHungError, GradingError, MissingExtraError
from search.grading.killable import KillablePool
from search.grading.math import MathDomain, normal
from search.grading.verdict import Verdict
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
        ("The final answer is: $18$. I hope it is correct.", "18"),
        (r"So the answer is \(x+1\), as was to be shown.", "x+1"),
        (r"The final answer is $\$32,\!348$.", "32348"),
        ("the answer is **B**", "B"),
        ("the answer is 7. We are done.", "7"),
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
        ("x+A", "x+a"),
        ("52_8", "52_9"),
        ("even", "odd"),
        ("Evelyn", "Evelyn1"),
        ("(1,2)", "(2,1)"),
        ("(3,4]", "(3,4)"),
        ("1/3", "0.333333"),
        ("5x+4=0", "5x+4=1"),
        ("1/0", "0"),
        ("2^{3}", "23"),
        ("-1", "1"),
    ],
)
def test_other_answers_stay_apart(first: str, second: str) -> None:
    assert not MATH.equal(problem(), first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x+1", "1+x"),
        (r"\sqrt{8}", r"2\sqrt2"),
        (r"\cot x", r"\frac{1}{\tan x}"),
        (r"1 \pm \sqrt{19}", r"1 + \sqrt{19}, 1 - \sqrt{19}"),
        ("1,-2", "-2,1"),
        (r"(3,\frac{\pi}{2})", r"\left(3, \pi/2\right)"),
        (r"\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}", r"\begin{pmatrix}-\frac13\\\frac23\end{pmatrix}"),
        (r"x \in [-2,7]", "[-2,7]"),
        ("52_8", "52_{8}"),
    ],
)
def test_the_same_mathematics_is_one_answer(first: str, second: str) -> None:
    assert MATH.equal(problem(), first, second)
    assert MATH.equal(problem(), second, first)
    assert MATH.judge(problem(first), second) is Verdict.RIGHT


def test_a_comparison_that_hangs_is_killed_and_said(caplog: pytest.LogCaptureFixture) -> None:
    hasty = MathDomain(seconds=0.5)
    assert hasty.equal(problem(), "x+1", "1+x") or caplog.records  # starting does not count
    tower = problem("9^{9^{9^{9}}}")
    assert hasty.judge(tower, "2^{9^{9^9}}+x") is Verdict.HUNG
    assert not hasty.grade(tower, "2^{9^{9^9}}+x")
    assert "problem 'p': a grader must answer within 0.5 s" in caplog.text
    said = len(caplog.records)
    assert not hasty.equal(tower, "2^{9^{9^9}}+x", "9^{9^{9^{9}}}")
    assert len(caplog.records) == said  # remembered, not killed again
    assert MathDomain().equal(problem(), "x+1", "1+x")


class _Failing(KillablePool):
    """Fails as it is told."""

    def __init__(self, error: Exception) -> None:
        super().__init__("none")
        self.error, self.asked = error, 0

    def ask(self, request: object, seconds: float) -> dict[str, object]:
        self.asked += 1
        raise self.error


def test_how_a_grader_ended_is_the_verdict() -> None:
    for error, verdict in (
        (GraderDiedError("out of memory"), Verdict.DIED),
        (GraderHungError("late"), Verdict.HUNG),
    ):
        assert MathDomain(_Failing(error)).judge(problem("x+1"), "1+x") is verdict
    assert MATH.judge(problem("x+1"), None) is Verdict.UNREADABLE
    assert MATH.judge(problem("x+1"), "x+2") is Verdict.WRONG


def test_numbers_and_words_need_no_algebra() -> None:
    pool = _Failing(MissingExtraError("the grading extra"))
    bare = MathDomain(pool)
    for first, second in (("1/2", "0.5"), ("1", "2"), ("Paris", "London"), ("x", "X"), ("5_8", "5_9")):
        bare.equal(problem(), first, second)
    assert pool.asked == 0
    with pytest.raises(MissingExtraError):
        bare.equal(problem(), "x+1", "1+x")


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
