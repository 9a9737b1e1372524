"""Planners without a model that is down."""

from __future__ import annotations

import numpy as np
import pytest

from planner.objective import HardCap, Objective, Price, TargetAccuracy
from planner.planner import Planner
from planner.restriction import without
from search.errors import ArtefactError

QUESTION = "work out the sum of 3 + 41 + 7"


def test_nothing_left_out_is_the_same_planner(planner: Planner) -> None:
    assert without(planner) is planner
    assert without(planner, prms=["unknown"]) is planner


@pytest.mark.parametrize("objective", [Price(0.0), HardCap(tokens=3000), TargetAccuracy(0.95)])
@pytest.mark.parametrize("gone", [{"good"}, {"good", "bad"}])
def test_a_prm_that_is_down_is_never_chosen(planner: Planner, gone: set[str], objective: Objective) -> None:
    left = without(planner, prms=gone)
    assert not any(choice.prm in gone for stage in left.stages for choice in stage.choices)
    assert not any(stage.look.prm in gone for stage in left.stages)
    assert left.stages[-1].terms.next_look is None
    advice = left.recommend(QUESTION, objective=objective)
    assert advice.choice.prm not in gone
    assert advice.look is None or advice.look in [stage.look for stage in left.stages]


def test_what_remains_is_predicted_as_before(planner: Planner) -> None:
    left = without(planner, prms={"good", "bad"})
    stage, before = left.stages[0], planner.stages[0]
    features = planner.features(before, QUESTION, None)
    size = np.array([float(len(QUESTION))])
    kept = [before.choices.index(choice) for choice in stage.choices]
    assert np.array_equal(
        stage.accuracy(stage.menu(features, size))[0], before.accuracy(before.menu(features, size))[0, kept]
    )


def test_the_policy_of_the_reference_cannot_go(planner: Planner) -> None:
    needed = {stage.choices[stage.terms.reference].policy for stage in planner.stages}
    with pytest.raises(ArtefactError, match="left out"):
        without(planner, policies=needed)
    for spare in planner.policies.keys() - needed:
        left = without(planner, policies=[spare])
        assert spare not in {choice.policy for stage in left.stages for choice in stage.choices}
