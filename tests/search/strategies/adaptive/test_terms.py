"""Terms: several signals in a plan's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.choice import Choice
from search.errors import PlanError
from search.plan import Plan
from search.strategies.adaptive.terms import Term, terms_of

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.dictionaries(
        st.sampled_from(["mean", "min", "length", "prm"]), st.tuples(NUMBERS, NUMBERS), min_size=1
    )
)
def test_a_plan_with_terms_parses_back(told: dict[str, tuple[float, float]]) -> None:
    terms = tuple(Term(name, *numbers) for name, numbers in told.items())
    plan = Plan.of("adaptive_vote", n=4, weight="odds", terms=terms, level=-0.5)
    assert Plan.parse(str(plan)) == plan
    prm = "judge" if plan.needs_prm else None
    assert plan.needs_prm == ("prm" in told)
    assert Choice.parse(str(Choice("m", prm, plan).short)).plan == plan


def test_terms_may_stand_inside_a_cascade() -> None:
    text = "m: adaptive_vote(n=4, weight=odds, terms=mean*3@-0.4/length*0.1@-60)"
    plan = Plan.parse(f"cascade(first={text}, then=l: cot())")
    assert plan.parts[0].plan.described.signals == {"mean"}
    assert Plan.parse(str(plan)) == plan


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mean", "written signal"),
        ("mean*1", "written signal"),
        ("mean*x@0", "written signal"),
        ("mood*1@0", "got 'mood'"),
        ("mean*1@0/mean*2@0", "once"),
        ("mean*inf@0", "finite"),
    ],
)
def test_terms_that_say_nothing_are_refused(text: str, why: str) -> None:
    with pytest.raises(PlanError, match=why):
        Plan.parse(f"adaptive_vote(n=4, weight=odds, terms={text})")


def test_a_text_may_have_spaces_between_terms() -> None:
    assert terms_of("mean*1@2 / min*-3@0.5") == (Term("mean", 1.0, 2.0), Term("min", -3.0, 0.5))
