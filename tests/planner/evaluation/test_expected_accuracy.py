from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.budget_adherence import BudgetAdherence
from planner.evaluation.expected_accuracy import calibration, reliability
from planner.evaluation.intervals import Resampler


def budget_adherence(expected: np.ndarray, actual: np.ndarray, probes: int = 1) -> BudgetAdherence:
    problems = len(expected) // probes
    zero = np.zeros(problems)
    weight = np.full(len(expected), 1.0 / probes)
    return BudgetAdherence(
        budget=1.0,
        accuracy=zero,
        flops=zero,
        problem=np.repeat(np.arange(problems), probes),
        weight=weight,
        expected=expected,
        actual=actual,
        ended={},
    )


def test_promises_that_hold_have_no_error_and_all_the_resolution() -> None:
    p = np.repeat([0.25, 0.75], 50)
    found = calibration([budget_adherence(p, p)], 100, Resampler(100, resamples=200))
    assert found["ece"] == pytest.approx(0.0)
    assert found["resolution"] == pytest.approx(0.0625)
    assert found["brier"] == pytest.approx(0.25 * 0.75)


def test_promises_that_are_off_are_off_by_as_much() -> None:
    found = calibration(
        [budget_adherence(np.full(80, 0.9), np.full(80, 0.6))], 80, Resampler(80, resamples=100)
    )
    assert found["ece"] == pytest.approx(0.3)
    assert found["resolution"] == pytest.approx(0.0)
    # outcomes that are chances: the score of an answer drawn with that chance
    assert found["brier"] == pytest.approx(0.6 * 0.01 + 0.4 * 0.81)
    assert (found["ece_low"], found["ece_high"]) == (pytest.approx(0.3), pytest.approx(0.3))


def test_murphy_holds_for_plain_outcomes() -> None:
    """Brier = reliability - resolution + uncertainty where promises are one number per bin (Murphy 1973)."""
    rng = np.random.default_rng(0)
    p = rng.choice([0.15, 0.45, 0.85], 3000)
    y = (rng.random(3000) < p * 0.8).astype(float)
    found = calibration([budget_adherence(p, y)], 3000, Resampler(3000, resamples=10))
    bins = reliability([budget_adherence(p, y)], 3000)
    squared = sum(b["share"] * (b["promised"] - b["happened"]) ** 2 for b in bins)
    assert found["brier"] == pytest.approx(squared - found["resolution"] + y.mean() * (1 - y.mean()))
    assert found["ece"] == pytest.approx(sum(b["share"] * abs(b["promised"] - b["happened"]) for b in bins))


def test_every_problem_weighs_the_same_however_many_probes_it_took() -> None:
    one = budget_adherence(np.array([0.9, 0.5]), np.array([0.9, 0.1]))
    four = budget_adherence(np.repeat([0.9, 0.5], 4), np.repeat([0.9, 0.1], 4), probes=4)
    resampler = Resampler(2, resamples=20)
    assert calibration([one, four], 2, resampler) == pytest.approx(calibration([one], 2, resampler))
