"""The average improvement in quality among the measures of a report."""

from __future__ import annotations

import math

import pytest

from planner.evaluation.evaluation import Curve, Evaluation
from planner.report.measures import measures

NONE = {"value": math.nan, "low": math.nan, "high": math.nan}


def compared(*fixed: Curve) -> Evaluation:
    return Evaluation(
        problems=10,
        families=5,
        sample_flops=1.0,
        budgets=(),
        curves=(
            Curve(name="planner", flops=(1.0, 3.0), tokens=(1.0, 3.0), accuracy=(0.4, 0.8)),
            Curve(name="knn", flops=(1.0,), tokens=(1.0,), accuracy=(0.4,)),
        ),
        fixed=fixed,
        gap_closed=NONE,
        calibration={"ece": 0.0, "brier": 0.0, "resolution": 0.0},
        budget_error_percent=1.0,
        made={},
    )


def test_it_is_told_of_the_planner_over_the_range_of_fixed_plans() -> None:
    cheap = Curve(name="a", flops=(1.0,), tokens=(1.0,), accuracy=(0.4,))
    dear = Curve(name="b", flops=(5.0,), tokens=(5.0,), accuracy=(0.7,))
    told = [one for one in measures(compared(cheap, dear)) if one.what.startswith("AIQ of ")]
    assert [one.what.split(":")[0] for one in told] == ["AIQ of planner"]
    # 0.6 on average up to a cost of 3, then 0.8
    assert told[0].value == pytest.approx(70.0)
    assert told[0].unit == "%"


def test_without_fixed_plans_there_is_no_range() -> None:
    assert not any(one.what.startswith("AIQ of ") for one in measures(compared()))
