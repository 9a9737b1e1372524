"""What holds of every answer: it equals itself in any dressing, differs from a perturbed one, has no side."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from search.grading.mathematics.math import MathDomain
from search.problem import Problem

MATH = MathDomain()

numbers = st.integers(-99, 99)
positive = st.integers(2, 99)
expressions = st.one_of(
    numbers.map(str),
    st.builds(lambda top, bottom: rf"\frac{{{top}}}{{{bottom}}}", numbers.filter(bool), positive),
    st.builds(lambda n, k: rf"{n}\sqrt{{{k}}}", positive, st.sampled_from([2, 3, 5, 7, 11])),
    st.builds(lambda a, b, c: f"{a}x^2+{b}x+{c}", positive, positive, positive),
    st.builds(lambda a, b: rf"{a}\pi+{b}", positive, positive),
    st.builds(lambda a, b: f"{a}+{b}i", positive, positive),
)
answers = st.one_of(
    expressions,
    st.builds(lambda a, b: f"({a},{b})", expressions, expressions),
    st.builds(lambda a, b: f"{a}, {b}, 100", expressions, expressions),
    st.builds(lambda a, b: rf"\{{{a},{b}\}}", expressions, expressions),
    st.builds(lambda a: f"y={a}", expressions),
    st.builds(lambda a: f"x>{a}", numbers),
    st.builds(lambda a, b: rf"\begin{{pmatrix}}{a}\\{b}\end{{pmatrix}}", expressions, expressions),
    st.builds(lambda a: rf"{a}\text{{ cm}}^2", positive),
    st.builds(lambda a: rf"{a}^\circ", positive),
    st.builds(lambda a: rf"{a}\%", positive),
)
dressings: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [
        lambda answer: f"${answer}$",
        lambda answer: f" {answer} .",
        lambda answer: rf"\boxed{{{answer}}}",
        lambda answer: rf"\textcolor{{blue}}{{{answer}}}",
        lambda answer: rf"\displaystyle {answer}",
        lambda answer: rf"{{{answer}}}",
        lambda answer: answer.replace("(", r"\left(").replace(")", r"\right)"),
        lambda answer: answer.replace(r"\frac", r"\dfrac").replace("-", "\N{MINUS SIGN}"),
        lambda answer: answer.replace(r"\sqrt", r"\sqrt ").replace("+", " + ").replace("=", r"\, = \,"),
        lambda answer: answer.replace(r"\pi", "\N{GREEK SMALL LETTER PI}").replace(">", r"\gt "),
        lambda answer: answer.replace("pmatrix", "bmatrix").replace(r"\text{", r"\mathrm{"),
    ]
)


def posed(answer: str) -> Problem:
    return Problem("p", "f", "math", "How much?", answer)


@settings(max_examples=200, deadline=None)
@given(answers, dressings, dressings)
def test_an_answer_equals_itself_in_any_dressing(
    answer: str, inner: Callable[[str], str], outer: Callable[[str], str]
) -> None:
    read = MATH.read(posed(answer), rf"So we get \boxed{{{outer(inner(answer))}}}, as it should be.")
    assert MATH.grade(posed(answer), read), read


@settings(max_examples=200, deadline=None)
@given(answers, st.data())
def test_an_answer_differs_from_a_perturbed_one(answer: str, data: st.DataObject) -> None:
    # a unit's power is no part of the number
    places = [place for place, mark in enumerate(answer.partition(r"\text")[0]) if mark.isdigit()]
    place = data.draw(st.sampled_from(places))
    digit = str((int(answer[place]) + data.draw(st.integers(1, 8))) % 9 + 1)
    other = f"{answer[:place]}{digit}{answer[place + 1 :]}"
    if digit == answer[place]:
        other = f"{answer[:place]}7{answer[place:]}"
    assert MATH.grade(posed(answer), answer)
    assert MATH.grade(posed(answer), other) == (sorted_values(answer) == sorted_values(other))


def sorted_values(answer: str) -> list[str] | str:
    """A list or a set as its items in any order: those that a perturbation may make equal again."""
    inner = answer.removeprefix(r"\{").removesuffix(r"\}")
    if inner == answer and ", " not in answer:
        return answer
    items = [item.strip() for item in inner.split(",")]
    return sorted(set(items) if inner != answer else items)


@settings(max_examples=200, deadline=None)
@given(answers, answers)
def test_equality_has_no_side(first: str, second: str) -> None:
    assert MATH.equal(posed("1"), first, second) == MATH.equal(posed("1"), second, first)


@settings(max_examples=200, deadline=None)
@given(answers, st.data())
def test_spaces_between_signs_change_nothing(answer: str, data: st.DataObject) -> None:
    pieces = [f" {mark} " if mark in "+-=>(){}" and data.draw(st.booleans()) else mark for mark in answer]
    spaced = "".join(pieces).replace("\\ {", r"\{").replace("\\ }", r"\}")
    assert MATH.equal(posed("1"), answer, spaced)
    read = MATH.read(posed(answer), f"Answer: {answer}\n")
    assert read == MATH.read(posed(answer), f"Answer:   {answer}  \r\n\n")
