"""Reading, comparing and grading mathematical answers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GraderDiedError, GraderHungError, GradingError, MissingExtraError
from search.grading.mathematics.killable import KillablePool
from search.grading.mathematics.math import MathDomain, normal
from search.grading.verdict import Verdict
from search.problem import Problem
from search.voting.votes import group

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
        ("**Answer:** 5 dollars", "5 dollars"),
        ("the answer is: 1.50.", "3/2"),
        ("The final answer is: $18$. I hope it is correct.", "18"),
        (r"So the answer is \(x+1\), as was to be shown.", "x+1"),
        (r"The final answer is $\$32,\!348$.", r"\$32348"),
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
        ("1200", "1,200", "1200.0", r"1{,}200", r"1\,200", "1 200", r"1,\!200"),
        ("11/10", r"1\frac{1}{10}", "1.1"),
        ("-3/8", r"-\frac{3}{8}", r"\frac{-3}{8}", "-.375"),
        ("90%", r"90\%"),
        (r"\left(3,\frac{\pi}{2}\right)", r"(3, \frac{\pi}{2})", r"\left( 3, \, \frac{\pi}{2} \right)"),
        ("Tuesday", r"\text{tuesday}", r"\textbf{Tuesday}"),
    ],
)
def test_spellings_of_one_answer_are_one(spellings: tuple[str, ...]) -> None:
    assert len({normal(text) for text in spellings}) == 1
    assert all(MATH.equal(problem(), spellings[0], other) for other in spellings)


def test_the_same_mathematics_is_one_vote() -> None:
    for first, second in ((r"\cot x", r"\frac{1}{\tan x}"), ("52_8", "52_{8}"), ("x=2", "2")):
        assert MATH.equal(problem(), first, second)


class _Failing(KillablePool):
    """Fails as it is told, or works out everything as nothing; counts what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__("none")
        self.error, self.asked = error, [0]

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        self.asked[0] += 1
        if self.error is not None and any("9^" in text for text in request["expressions"]):
            raise self.error
        return {"values": [None for _ in request["expressions"]]}


def test_how_a_grader_ended_is_the_verdict() -> None:
    for error, verdict in (
        (GraderDiedError("out of memory"), Verdict.DIED),
        (GraderHungError("late"), Verdict.HUNG),
    ):
        assert MathDomain(_Failing(error)).judge(problem("x+1"), "9^x") is verdict
    assert MATH.judge(problem("x+1"), None) is Verdict.UNREADABLE
    assert MATH.judge(problem("x+1"), "x+2") is Verdict.WRONG


def test_a_slow_answer_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    pool = _Failing(GraderHungError("a grader must answer within 3 s"))
    domain = MathDomain(pool)
    answers = [
        r"\sqrt{2}",
        r"\sqrt{3}",
        "9^x",
        r"\sqrt{5}",
        r"\sqrt{6}",
        r"\sqrt{7}",
        r"\sqrt{10}",
        r"\sqrt{11}",
    ]
    assert len(set(group(problem(), domain, answers))) == len(answers)
    assert pool.asked == [len(answers)]  # once per answer, whatever the number of pairs
    assert domain.judge(problem(r"\sqrt{3}"), "9^x") is Verdict.HUNG
    assert domain.judge(problem(r"\sqrt{3}"), "9^{x}") is Verdict.HUNG  # another answer
    assert domain.judge(problem("9^x"), " 9^x ") is Verdict.RIGHT  # as it is written
    assert pool.asked == [len(answers) + 1]
    assert [record.message for record in caplog.records] == [
        "problem 'p': a grader must answer within 3 s"
    ] * 2


def test_a_sum_that_takes_long_delays_no_other_answer() -> None:
    begun, released = threading.Event(), threading.Event()

    class Long(KillablePool):
        def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
            begun.set()
            assert released.wait(20.0), "somebody must release it"
            return {"values": [None for _ in request["expressions"]]}

    domain = MathDomain(_Failing(), Long("none"))
    late = threading.Thread(target=domain.judge, args=(problem("1"), r"\sum_{k=1}^{n}k"))
    late.start()
    assert begun.wait(20.0)
    assert domain.judge(problem(r"\sqrt{2}"), r"\sqrt{3}") is Verdict.WRONG
    assert late.is_alive()
    released.set()
    late.join()


def test_large_numbers_are_not_multiplied_out() -> None:
    large = (
        "10^{10^{10}}",
        "9^{9^{9^{9}}}",
        "(x+1)^{5000}",
        "1000000!",
        r"\binom{10^6}{5\cdot10^5}",
        r"2^{2^{2^{2^{2}}}}",
        "(x+y+z)^{99999}",
        "0.5^{10^{9}}",
        "((10!)!)!",
        r"e^{e^{e^{e^e}}}",
    )
    for number, first in enumerate(large):
        assert MATH.judge(problem(first), rf"{{{first}}}") is Verdict.RIGHT
        assert MATH.judge(problem(first), large[number - 1]) is Verdict.WRONG
    for reference, answer in (
        ("10^{10^{10}}", "10^{10000000000}"),
        ("(x+1)^{5000}", "(1+x)^{4999}(x+1)"),
        ("1000000!", r"1000000\cdot999999!"),
        (r"\binom{10^6}{5\cdot10^5}", r"\frac{1000000!}{(500000!)^2}"),
    ):
        assert MATH.judge(problem(reference), answer) is Verdict.RIGHT


def test_an_integral_that_has_no_closed_form_ends() -> None:
    hasty = MathDomain(seconds=2.0)
    assert hasty.judge(problem(r"\int_0^1\sin(x^x)dx"), "1/2") in (Verdict.WRONG, Verdict.HUNG)


def test_numbers_lists_and_words_need_no_worker() -> None:
    pool = _Failing()
    bare = MathDomain(pool)
    for first, second in (
        ("1/2", "0.5"),
        ("1", "2"),
        ("Paris", "London"),
        ("(1,2)", "(1,3)"),
        ("5_8", "5_9"),
    ):
        bare.equal(problem(), first, second)
    assert pool.asked == [0]
    missing = MathDomain(_Failing(MissingExtraError("the grading extra")))
    with pytest.raises(MissingExtraError):
        missing.equal(problem(), "9^x", "1+x")


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
