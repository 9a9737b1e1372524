"""Designs of the planner study: probes follow one another, and stay within what the pools hold."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from planner.evidence.probe import Probe
from training.crossfit import Settings
from training.design import Design, plain, possible, starts

DESIGN = Design("p", (1, 2, 4), 0, 8, Settings())


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        (0, [(0, None), (1, None), (2, None), (4, None)]),
        (1, [(0, None), (1, None), (1, "r"), (2, "r"), (4, "r")]),
        (3, [(0, None), (1, None), (2, None), (4, None), (4, "r")]),
        (8, [(0, None), (1, None), (2, None), (4, None)]),
    ],
)
def test_looks(scored: int, expected: list[tuple[int, str | None]]) -> None:
    probe_sequence = replace(DESIGN, scored=scored).probe_sequence("r")
    assert probe_sequence == tuple(Probe("p", samples, prm) for samples, prm in expected)


def test_without_a_prm_nothing_is_scored() -> None:
    assert replace(DESIGN, scored=1).probe_sequence(None) == DESIGN.probe_sequence("r")


@pytest.mark.parametrize("largest", [1, 2, 4, 8, 72])
def test_probes_leave_something_to_continue_with(largest: int) -> None:
    assert possible(largest)
    assert all(int(text.split(",")[-1]) <= largest for text in possible(largest))
    first = Design.suggested(
        optuna.trial.FixedTrial(plain("p", largest, 1000)), {"p": largest}, scorable=True
    )
    assert first.probes[-1] <= largest
    assert first.to_json()["probes"] == list(first.probes)


def test_a_probe_is_bound_by_the_pool_of_the_policy_that_probes() -> None:
    long = plain("deep", 8, 1000)
    largest = {"shallow": 1, "deep": 8}
    assert Design.suggested(optuna.trial.FixedTrial(long), largest, scorable=False).probes == (1, 2, 4, 8)
    other = long | {"policy": "shallow"}
    assert Design.suggested(optuna.trial.FixedTrial(other), largest, scorable=False).probes == (1,)


@pytest.mark.parametrize("largest", [2, 4, 24])
@pytest.mark.parametrize("scorable", [False, True])
def test_a_study_starts_with_designs_for_every_policy(largest: int, scorable: bool) -> None:
    first = starts("p", {"o": largest, "p": largest}, 1000, scorable=scorable)
    assert first[0] == plain("p", largest, 1000)
    both = {"o": largest, "p": largest}
    designs = [Design.suggested(optuna.trial.FixedTrial(start), both, scorable=scorable) for start in first]
    assert all(design.probes[-1] <= largest for design in designs)
    assert any(design.scored for design in designs) == (scorable and largest >= 4)
    assert {design.policy for design in designs} == ({"o", "p"} if largest >= 4 else {"p"})


def test_few_problems_are_shrunk_harder() -> None:
    few, many = plain("p", 8, 100), plain("p", 8, 1000)
    assert few["choices"] < many["choices"]
    assert few["keep"] < many["keep"]
    assert few["min_data"] > many["min_data"]
