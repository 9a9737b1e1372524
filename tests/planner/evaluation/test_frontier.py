from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.frontier import Track

TRACK = Track("t", np.array([[0.2, 0.6]] * 4), np.array([[10.0, 30.0]] * 4), np.array([[1.0, 3.0]] * 4))


def test_meets_a_budget_exactly_by_mixing() -> None:
    accuracy, tokens, flops = TRACK.at(1.5)
    assert flops.mean() == pytest.approx(1.5)
    assert accuracy.mean() == pytest.approx(0.3)
    assert tokens.mean() == pytest.approx(15)


@pytest.mark.parametrize(("budget", "accuracy"), [(0.1, 0.2), (9.0, 0.6)])
def test_beyond_its_ends_it_takes_the_end(budget: float, accuracy: float) -> None:
    assert TRACK.at(budget)[0].mean() == pytest.approx(accuracy)


def test_one_that_does_not_mix_stays_below_the_budget() -> None:
    fixed = Track("f", TRACK.accuracy, TRACK.tokens, TRACK.flops, mixes=False)
    assert fixed.at(2.9)[2].mean() == 1.0
