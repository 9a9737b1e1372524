"""A planner meets its rivals on a log of its own; the rule is chosen on the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import worlds

from planner.evaluation.folds.cross_validation import CrossValidation
from planner.evaluation.folds.meeting import held_out, price_grid
from planner.evaluation.folds.verdict import verdict_of
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.errors import BudgetError


@pytest.fixture(scope="module")
def training() -> TrainingData:
    return worlds.world(80, seed=1)


@pytest.fixture(scope="module")
def planner(training: TrainingData) -> Planner:
    return worlds.learned(training)


@pytest.fixture(scope="module")
def found(planner: Planner, training: TrainingData) -> CrossValidation:
    return held_out(planner, worlds.world(60, seed=2), training, budgets=(4.0, 1.5))


def test_all_methods_meet_on_every_problem(found: CrossValidation) -> None:
    assert [met.budget / found.unit for met in found.budgets] == pytest.approx([1.5, 4.0])
    assert set(found.fold.tolist()) == {0}
    for met in found.budgets:
        assert {"planner", "chosen_rule", "best_fixed", "mixture", "knn", "oracle"} <= set(met.accuracy)
        assert {values.shape for values in met.accuracy.values()} == {(60,)}
        (rule,) = met.chosen
        np.testing.assert_array_equal(met.accuracy["chosen_rule"], met.accuracy[rule])
    assert "12 families are few to draw from: intervals may be too narrow" in found.notes
    assert verdict_of(found, bootstrap=50).above_rule is not None


def test_the_rule_does_not_know_the_test(
    found: CrossValidation, planner: Planner, training: TrainingData
) -> None:
    """Turn right into wrong on the test: the rule stays."""
    data = worlds.world(60, seed=2)
    turned = held_out(planner, replace(data, right=~data.right), training, budgets=(4.0, 1.5))
    assert [met.chosen for met in turned.budgets] == [met.chosen for met in found.budgets]


def test_budgets_and_prices(planner: Planner, training: TrainingData) -> None:
    with pytest.raises(BudgetError, match="budgets are given once, got 2, 2"):
        held_out(planner, training, training, budgets=(2.0, 2.0))
    prices = price_grid((10.0, 2.0))
    assert prices[0] == pytest.approx(1e-5)
    assert prices[-1] == pytest.approx(25.0)
