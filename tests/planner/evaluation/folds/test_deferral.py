"""Deferral curves, the average improvement in quality and the quality-neutral cost, by exact small cases."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.folds.cross_validation import BudgetMet, CrossValidation
from planner.evaluation.folds.deferral import aiq, deferral_of, hull

PROBLEMS = 6


def points(*given: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    cost, accuracy = zip(*given, strict=True)
    return np.array(cost), np.array(accuracy)


@pytest.mark.parametrize(
    ("given", "area"),
    [
        ([(1.0, 0.4), (3.0, 0.8)], 0.6),
        # a point under the line between two others changes nothing
        ([(1.0, 0.4), (2.0, 0.5), (3.0, 0.8)], 0.6),
        # one above does, and a dearer and worse one does not
        ([(1.0, 0.4), (2.0, 0.9), (3.0, 0.8)], (0.65 + 0.9) / 2),
        # what stops early stays as it is
        ([(1.0, 0.4)], 0.4),
        # what begins late is mixed with answering nothing: 0.3 at 1 to 0.9 at 3
        ([(3.0, 0.9)], 0.6),
        # nothing is right: no area
        ([(1.0, 0.0), (3.0, 0.0)], 0.0),
    ],
)
def test_the_area_under_the_hull_over_the_range(given: list[tuple[float, float]], area: float) -> None:
    assert aiq(*points(*given), 1.0, 3.0) == pytest.approx(area)


def test_a_range_of_one_cost_is_the_accuracy_there() -> None:
    assert aiq(*points((2.0, 0.6)), 2.0, 2.0) == pytest.approx(0.6)


@given(st.lists(st.tuples(st.floats(0.1, 9.0), st.floats(0.0, 1.0)), min_size=1, max_size=8))
def test_a_hull_is_concave_never_falls_and_has_every_point_below_it(given: list[tuple[float, float]]) -> None:
    x, y = hull(*points(*given))
    assert x[0] == min(cost for cost, _ in given)
    assert y[-1] == max(accuracy for _, accuracy in given)
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) > 0).all()
    assert (np.diff(np.diff(y) / np.diff(x)) <= 1e-9).all()
    assert all(accuracy <= np.interp(cost, x, y) + 1e-9 for cost, accuracy in given)


def cross_validation(curves: Mapping[str, tuple[float, ...]], budgets: tuple[float, ...]) -> CrossValidation:
    """Every problem alike; costs are the budgets."""
    met = tuple(
        BudgetMet(
            budget=budget,
            accuracy={name: np.full(PROBLEMS, curve[at]) for name, curve in curves.items()},
            flops={name: np.full(PROBLEMS, budget) for name in curves},
            chosen=("mixture",),
        )
        for at, budget in enumerate(budgets)
    )
    # the cheapest choice is right at 0.4 for 2 FLOPs, the dearest at 0.8 for 6
    fixed = ConfigTable(
        settings=("cheap", "dear"),
        values=np.tile([0.4, 0.8], (PROBLEMS, 1)),
        tokens=np.ones((PROBLEMS, 2)),
        flops=np.tile([2.0, 6.0], (PROBLEMS, 1)),
    )
    return CrossValidation(
        problems=tuple(map(str, range(PROBLEMS))),
        families=tuple(map(str, range(PROBLEMS))),
        fold=np.zeros(PROBLEMS, np.int64),
        unit=2.0,
        unit_policy="small",
        budgets=met,
        rules=("mixture",),
        missing={},
        notes=(),
        trials=0,
        seed=0,
        curve=met,
        fixed=fixed,
    )


def test_curves_of_a_cross_validation() -> None:
    found = deferral_of(
        cross_validation(
            {"planner": (0.6, 0.8, 0.8), "mixture": (0.4, 0.6, 0.8), "majority": (0.4, 0.5, 0.5)},
            (2.0, 4.0, 6.0),
        ),
        bootstrap=20,
    )
    assert (found.low, found.high, found.best_cost) == (1.0, 3.0, 3.0)
    assert found.best == pytest.approx(0.8)
    planner, mixture = found.curves["planner"], found.curves["mixture"]
    assert planner.cost == (1.0, 2.0, 3.0)
    assert planner.accuracy == pytest.approx((0.6, 0.8, 0.8))
    assert planner.aiq.value == pytest.approx((0.7 + 0.8) / 2)
    assert mixture.aiq.value == pytest.approx(0.6)
    assert mixture.above.value == pytest.approx(0.15)
    assert (mixture.above.low, mixture.above.high) == (pytest.approx(0.15), pytest.approx(0.15))
    # 0.8 for 4 FLOPs where the most accurate fixed choice takes 6
    assert planner.quality_neutral_cost == pytest.approx(4.0 / 6.0)
    assert mixture.quality_neutral_cost == pytest.approx(1.0)
    assert found.curves["majority"].quality_neutral_cost is None
    assert set(found.empty) == {"majority"}
    assert found.to_json()["curves"]["planner"]["aiq"]["value"] == pytest.approx(0.75)


def test_without_curves_there_is_nothing_to_sum_up() -> None:
    plain = cross_validation({"planner": (0.6,)}, (2.0,))
    with pytest.raises(ValueError, match="made with curves"):
        deferral_of(
            CrossValidation(
                problems=plain.problems,
                families=plain.families,
                fold=plain.fold,
                unit=plain.unit,
                unit_policy=plain.unit_policy,
                budgets=plain.budgets,
                rules=plain.rules,
                missing={},
                notes=(),
                trials=0,
                seed=0,
            )
        )
