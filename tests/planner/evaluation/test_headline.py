from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.evaluate import context_of
from planner.evaluation.headline import compared_curves, geometric_mean, headlines
from planner.evaluation.intervals import Resampler
from planner.evidence.training_data import TrainingData
from planner.planner import Planner


def curve(*values: float) -> np.ndarray:
    return np.array([values])


def test_the_multiple_is_read_where_the_planner_is_no_less_accurate_than_the_best_vote() -> None:
    found = compared_curves(curve(0.4, 0.6), curve(1.0, 3.0), curve(0.3, 0.5), curve(1.0, 64.0))
    assert found.accuracy[0] == pytest.approx(0.5)
    assert found.value[0] == pytest.approx(64.0 / 2.0)
    assert not found.censored[0]
    # at its own best the planner is above every vote: the dearest is the lower bound
    assert found.at_best[0] == pytest.approx(64.0 / 3.0)
    assert found.at_best_censored[0]


def test_no_vote_gets_to_a_planner_whose_cheapest_answer_is_better() -> None:
    found = compared_curves(curve(0.7, 0.8), curve(1.0, 3.0), curve(0.3, 0.5), curve(1.0, 64.0))
    assert found.censored[0]
    assert found.value[0] == pytest.approx(64.0)
    assert found.accuracy[0] == pytest.approx(0.7)


def test_a_planner_below_the_votes_is_compared_at_its_own_best() -> None:
    found = compared_curves(curve(0.3, 0.4), curve(1.0, 8.0), curve(0.2, 0.6), curve(1.0, 5.0))
    assert found.accuracy[0] == pytest.approx(0.4)
    assert found.value[0] == pytest.approx(3.0 / 8.0)
    assert not found.censored[0]


def test_a_planner_that_votes_as_they_do_needs_as_much() -> None:
    votes, cost = curve(0.3, 0.5, 0.6), curve(1.0, 4.0, 16.0)
    assert compared_curves(votes, cost, votes, cost).value[0] == 1.0


def test_every_policy_and_prm_has_its_cell(planner: Planner, data: TrainingData) -> None:
    context = context_of(planner, data, resamples=2, probes=2)
    cells, drawn = headlines(planner, context, Resampler(len(data), resamples=60))
    assert {(cell.policy, cell.prm) for cell in cells} == {
        (policy, prm) for policy in ("small", "large") for prm in ("good", "bad")
    }
    for cell in cells:
        assert cell.multiple_over_majority > 0
        assert cell.low <= cell.high
        assert cell.gain_low <= cell.gain_over_cot_percent <= cell.gain_high
    mean = geometric_mean(cells, drawn)
    multiples = [cell.multiple_over_majority for cell in cells]
    assert min(multiples) <= mean.value <= max(multiples)
    assert mean.low <= mean.high
    assert np.isnan(geometric_mean((), ()).value)
