"""Shifts of accuracy that traffic shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.evidence.effects import Effects, labels_of
from search.choice import Choice
from search.plan import Plan

COT = Choice("small", None, Plan.of("cot"))
VOTE = Choice("small", "good", Plan.of("weighted_vote", n=4, score="last"))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), st.floats(-1.0, 1.0))
def test_the_mean_moves_by_the_shift_as_far_as_it_can(values: list[float], shift: float) -> None:
    problems = np.array(values)[:, None]
    moved = Effects({"policy small": shift}).apply(problems, [COT], ["math"] * len(values))
    goal = min(1.0, max(0.0, problems.mean() + shift))
    if shift < 0.0 or problems.mean() < 1.0:
        assert moved.mean() == pytest.approx(goal, abs=1e-9)
    assert moved.min() >= -1e-12
    assert moved.max() <= 1.0 + 1e-12
    assert (np.diff(moved[np.argsort(problems[:, 0]), 0]) >= -1e-12).all()  # no problem overtakes another


def test_a_shift_is_of_the_choices_and_domains_that_it_names() -> None:
    effects = Effects({"PRM good": -0.2, "PRM good on code": -0.1, "domain math": 0.05})
    assert effects.of(COT, "math") == 0.05
    assert effects.of(VOTE, "math") == pytest.approx(-0.15)
    assert effects.of(VOTE, "code") == pytest.approx(-0.3)
    values = np.full((2, 3, 2), 0.5)
    moved = effects.apply(values, [COT, VOTE], ["math", "code"])
    assert moved[:, 0].tolist() == [[pytest.approx(0.55), pytest.approx(0.35)], [0.5, pytest.approx(0.2)]]
    assert values.min() == values.max() == 0.5
    assert "PRM good" in effects.to_json()


def test_a_plan_of_a_plug_in_that_is_gone_has_labels_too() -> None:
    assert labels_of("small", None, "gone(n=2)", "math")[-1] == "small x - x gone(n=2)"
