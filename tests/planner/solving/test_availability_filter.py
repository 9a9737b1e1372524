"""Planners without models that are down or not there."""

from __future__ import annotations

import pytest

from planner.planner import Planner
from planner.solving.availability_filter import AvailabilityFilter
from search.budget import Budget

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
