from __future__ import annotations

from dataclasses import replace

import pytest

from planner.evaluation.evaluate import BudgetRow, Evaluation, Point
from planner.report.headline import headline, middle_budget


def point(accuracy: float, above: float = 0.0, low: float = 0.0, high: float = 0.0) -> Point:
    return Point(
        accuracy=accuracy,
        tokens=1.0,
        flops=1.0,
        low=accuracy,
        high=accuracy,
        planner_above=above,
        above_low=low,
        above_high=high,
    )


def compared(**rivals: Point) -> Evaluation:
    row = BudgetRow(name="16 samples", flops=16.0, methods={"planner": point(0.7), **rivals}, detectable=0.02)
    gap = {"value": 0.61, "low": 0.5, "high": 0.7}
    return Evaluation(
        problems=100,
        families=10,
        sample_flops=1.0,
        budgets=(row,),
        curves=(),
        fixed=(),
        gap_closed=gap,
        calibration={},
        budget_error_percent=0.0,
        made={},
    )


def test_a_lead_that_is_proven() -> None:
    said = headline(compared(majority=point(0.6, 0.1, 0.08, 0.12), mixture=point(0.65, 0.05, 0.02, 0.08)))
    assert said == (
        "At a mean budget of 16 samples the planner is right on 70.0% of the problems, 5.0 points above the "
        "best rival that can be deployed (best two fixed plans; 95% interval of the difference +2.0 to "
        "+8.0). It closes 61% of the gap between the best fixed plan and an oracle (50 to 70%)."
    )


def test_a_lead_that_is_not_proven_and_a_rival_that_is_ahead() -> None:
    assert "0.5 points above" in (said := headline(compared(knn=point(0.695, 0.005, -0.01, 0.02))))
    assert "\u22121.0 to +2.0: not proven)" in said
    assert "2.0 points below" in (said := headline(compared(knn=point(0.72, -0.02, -0.03, -0.01))))
    assert "not proven" not in said


def test_a_difference_that_one_decimal_does_not_show() -> None:
    said = headline(compared(knn=point(0.7, 0.0002, -0.01, 0.02)))
    assert "70.0% of the problems, level with the best rival" in said


def test_what_cannot_be_deployed_is_no_rival() -> None:
    said = headline(compared(oracle=point(0.9), bin_quantile=point(0.8), oracle_steady=point(0.95)))
    assert "rival" not in said


def test_no_gap_no_word_of_it() -> None:
    nothing = dict.fromkeys(("value", "low", "high"), float("nan"))
    assert "gap" not in headline(replace(compared(), gap_closed=nothing))


def test_a_gap_of_which_nothing_is_known_is_withheld() -> None:
    wide = {"value": 4.95, "low": 0.46, "high": 40.13}
    assert "gap" not in headline(replace(compared(), gap_closed=wide))


@pytest.mark.parametrize(("count", "middle"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
def test_the_middle_budget_is_the_smaller_of_two(count: int, middle: int) -> None:
    one = compared()
    rows = tuple(replace(one.budgets[0], name=str(place)) for place in range(count))
    assert middle_budget(replace(one, budgets=rows)).name == str(middle)
