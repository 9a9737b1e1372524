"""Planners without models that are down or not there."""

from __future__ import annotations

import pytest

from planner.availability_filter import AvailabilityFilter
from planner.objective import HardCap, Objective, Price, TargetAccuracy
from planner.planner import Planner

QUESTION = "work out the sum of 3 + 41 + 7"
EVERY = [Price(0.0), HardCap(tokens=3000), TargetAccuracy(0.95)]


def test_nothing_barred_is_the_same_advice(planner: Planner) -> None:
    plain = planner.recommend(QUESTION, objective=Price(0.0))
    assert planner.recommend(QUESTION, objective=Price(0.0), decision_filter=AvailabilityFilter()) == plain
    assert (
        planner.recommend(QUESTION, objective=Price(0.0), decision_filter=AvailabilityFilter(["x"], ["y"]))
        == plain
    )


@pytest.mark.parametrize("objective", EVERY)
@pytest.mark.parametrize("gone", [{"good"}, {"good", "bad"}])
def test_a_prm_that_is_down_is_never_chosen(planner: Planner, gone: set[str], objective: Objective) -> None:
    advice = planner.recommend(QUESTION, objective=objective, decision_filter=AvailabilityFilter(prms=gone))
    assert advice.choice.prm not in gone
    assert advice.probe is None or advice.probe.prm not in gone
    assert advice.runner_up is None or advice.runner_up.choice.prm not in gone


@pytest.mark.parametrize("objective", EVERY)
@pytest.mark.parametrize("gone", ["small", "large"])
def test_a_policy_that_is_not_there_is_never_chosen(
    planner: Planner, gone: str, objective: Objective
) -> None:
    advice = planner.recommend(QUESTION, objective=objective, decision_filter=AvailabilityFilter([gone]))
    assert advice.choice.policy != gone
    assert advice.probe is None or advice.probe.policy != gone


def test_what_is_left(planner: Planner) -> None:
    assert AvailabilityFilter(["small"]).leaves(planner)
    assert not AvailabilityFilter(["small", "large"]).leaves(planner)
