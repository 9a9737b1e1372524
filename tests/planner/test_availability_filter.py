"""Planners without models that are down or not there."""

from __future__ import annotations

import pytest

from planner.availability_filter import AvailabilityFilter
from planner.decision_filter import DecisionFilter
from planner.planner import Planner
from search.budget import Budget
from search.choice import Choice

QUESTION = "work out the sum of 3 + 41 + 7"
EVERY = [Budget(price=0.0), Budget(tokens=3000), Budget(accuracy=0.95)]


def test_nothing_barred_is_the_same_advice(planner: Planner) -> None:
    plain = planner.decide(QUESTION, budget=Budget(price=0.0))
    assert planner.decide(QUESTION, budget=Budget(price=0.0), decision_filter=AvailabilityFilter()) == plain
    assert (
        planner.decide(QUESTION, budget=Budget(price=0.0), decision_filter=AvailabilityFilter(["x"], ["y"]))
        == plain
    )


@pytest.mark.parametrize("budget", EVERY)
@pytest.mark.parametrize("gone", [{"good"}, {"good", "bad"}])
def test_a_prm_that_is_down_is_never_chosen(planner: Planner, gone: set[str], budget: Budget) -> None:
    advice = planner.decide(QUESTION, budget=budget, decision_filter=AvailabilityFilter(prms=gone))
    assert advice.choice.prm not in gone
    assert advice.probe is None or advice.probe.prm not in gone
    assert advice.runner_up is None or advice.runner_up.choice.prm not in gone


@pytest.mark.parametrize("budget", EVERY)
@pytest.mark.parametrize("gone", ["small", "large"])
def test_a_policy_that_is_not_there_is_never_chosen(planner: Planner, gone: str, budget: Budget) -> None:
    advice = planner.decide(QUESTION, budget=budget, decision_filter=AvailabilityFilter([gone]))
    assert advice.choice.policy != gone
    assert advice.probe is None or advice.probe.policy != gone


def test_what_is_left(planner: Planner) -> None:
    assert AvailabilityFilter(["small"]).leaves(planner)
    assert not AvailabilityFilter(["small", "large"]).leaves(planner)


def test_behind_a_chat_no_plan_that_goes_on_with_solutions_is_chosen(planner: Planner) -> None:
    left_out = AvailabilityFilter(chats=["small"])
    trees = [choice for choice in planner.choices if choice.plan.must_run]
    others = [choice for choice in planner.choices if not choice.plan.must_run]
    assert {choice.policy for choice in trees} == {"small"}
    assert all(left_out.excludes(choice) for choice in trees)
    assert not any(left_out.excludes(choice) for choice in others)
    assert not any(AvailabilityFilter(chats=["large"]).excludes(choice) for choice in trees)
    nested = Choice.parse("large: cascade(first=large: majority(n=2), then=small | good: rebase(n=4))")
    assert left_out.excludes(nested)
    assert left_out.wrapping(DecisionFilter()).excludes(trees[0])
    for budget in EVERY:
        advice = planner.decide(QUESTION, budget=budget, decision_filter=left_out)
        assert not advice.choice.plan.described.goes_on
