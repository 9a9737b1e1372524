"""How much to think, as a number of every plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.choice import Choice
from search.engines.openai.knob import KNOBS
from search.errors import PlanError
from search.plan import Plan
from search.strategies.registry import STRATEGIES
from search.thinking_budget import EFFORTS, ThinkingBudget

WHOLE = [name for name in STRATEGIES if name != "cascade"]


def test_plans_and_models_files_know_the_same_efforts() -> None:
    assert EFFORTS == KNOBS


@pytest.mark.parametrize("strategy", WHOLE)
def test_every_plan_may_say_how_much_to_think(strategy: str) -> None:
    plain, told = Plan.of(strategy), Plan.parse(f"{strategy}(think=512, effort=high)")
    assert str(told) == str(plain)[:-1] + (", " if plain.parameters else "") + "effort=high, think=512)"
    assert told.thinking == ThinkingBudget("high", 512)
    assert told != plain
    assert told.must_run
    assert told.with_(effort=None, think=None) == plain
    assert (told.n, told.vote, told.score, told.needs_prm) == (
        plain.n,
        plain.vote,
        plain.score,
        plain.needs_prm,
    )
    assert told.described.plan == told
    assert Plan.parse(told.brief) == told


@given(st.sampled_from(WHOLE), st.sampled_from(EFFORTS), st.integers(1, 65536), st.integers(1, 65536))
def test_round_trip(strategy: str, effort: str, one: int, two: int) -> None:
    think, wait = max(one, two), min(one, two)
    plan = Plan.of(strategy, effort=effort, think=think, wait=wait)
    assert Plan.parse(str(plan)) == plan
    assert hash(Plan.parse(str(plan))) == hash(plan)


def test_no_thought_is_a_budget_too() -> None:
    assert str(Plan.parse("cot(think=0)")) == "cot(think=0)"
    assert Plan.parse("cot()").thinking is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("majority(n=4, effort=much)", "effort must be one of on, off, none, .*, max, got 'much'"),
        ("majority(n=4, think=-1)", "think must be a whole number from 0 to 65536, got think=-1"),
        ("majority(n=4, think=lots)", "think must be a whole number from 0 to 65536, got think=lots"),
        ("majority(n=4, wait=8)", "wait needs think, the most that a thought may take, got wait=8"),
        ("majority(n=4, think=4, wait=8)", "wait must be at most think, got think=4, wait=8"),
        (
            "cascade(first=m: majority(n=4), then=l: cot(), think=8)",
            "a plan of several policies says in its parts how much to think, got think=8 in cascade",
        ),
        ("majority(n=4, thinks=4)", "majority takes n, got 'thinks'"),
    ],
)
def test_what_is_wrong_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Plan.parse(text)


def test_a_part_of_a_plan_may_say_it() -> None:
    plan = Plan.parse("cascade(first=m: majority(n=4), then=l: cot(think=64))")
    assert plan.must_run
    assert Plan.parse(str(plan)) == plan
    assert Choice.parse("m: majority(n=4, think=8)").plan.thinking == ThinkingBudget(think=8)
