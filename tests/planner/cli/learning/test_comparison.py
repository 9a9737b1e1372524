"""The closing table: the rivals that matter, one sentence that is honest, everything on request."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.cli.learning.comparison import conclusion, method_name, print_comparison
from planner.evaluation.evaluation import METHODS, BudgetRow, Evaluation, Point

NONE = {"value": math.nan, "low": math.nan, "high": math.nan}


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


def compared(*rows: dict[str, Point]) -> Evaluation:
    budgets = tuple(
        BudgetRow(
            name=f"{4**place} samples", flops=1.0, methods={"planner": point(0.7), **row}, detectable=0.02
        )
        for place, row in enumerate(rows)
    )
    return Evaluation(
        problems=100,
        families=10,
        sample_flops=1.0,
        budgets=budgets,
        curves=(),
        fixed=(),
        gap_closed=NONE,
        calibration={},
        budget_error_percent=1.0,
        made={},
    )


def said(**rivals: Point) -> str:
    return conclusion(compared(rivals))


def test_above_a_mixture_that_is_the_strongest_rival() -> None:
    assert said(mixture=point(0.644, 0.056, 0.023, 0.089), majority=point(0.6, 0.1, 0.05, 0.15)) == (
        "At 1 samples the planner is 5.6 points above the best mixture of two fixed plans "
        "(95% interval 2.3 to 8.9)."
    )


def test_a_stronger_rival_than_the_mixture_is_named_too() -> None:
    text = said(mixture=point(0.62, 0.08, 0.05, 0.11), knn=point(0.71, -0.01, -0.03, 0.01))
    assert text.endswith(
        "8.0 points above the best mixture of two fixed plans (95% interval 5.0 to 11.0) and "
        "1.0 points below the best plan of similar questions (not proven: 95% interval -1.0 to 3.0)."
    )


def test_a_rival_that_is_level_with_the_mixture_is_not_named_beside_it() -> None:
    same = point(0.62, 0.08, 0.05, 0.11)
    assert " and " not in said(mixture=same, best_fixed=same, knn=point(0.6201, 0.0799, 0.05, 0.11))


def test_a_planner_that_is_worse_is_said_to_be_below() -> None:
    text = said(mixture=point(0.75, -0.05, -0.08, -0.02))
    assert "is 5.0 points below the best mixture of two fixed plans (95% interval 2.0 to 8.0)." in text
    assert "above" not in text


def test_level_and_unproven() -> None:
    text = said(mixture=point(0.7, 0.0001, -0.02, 0.02))
    assert "level with the best mixture of two fixed plans (not proven: 95% interval -2.0 to 2.0)" in text


def test_too_few_problems_for_an_interval() -> None:
    assert "too few problems" in said(majority=point(0.6, 0.1, math.nan, math.nan))


def test_the_oracle_and_known_bins_are_no_rivals() -> None:
    assert said(oracle=point(0.9), bin_absolute=point(0.95)) == "At 1 samples the planner is right on 70.0%."


def test_the_middle_budget_speaks() -> None:
    rows = [{"mixture": point(0.6, 0.1 * place, 0.05, 0.4)} for place in range(3)]
    assert "At 4 samples the planner is 10.0 points above" in conclusion(compared(*rows))


@given(st.floats(-0.5, 0.5), st.floats(0.0, 0.2), st.floats(0.0, 0.2))
def test_a_lead_is_claimed_only_where_the_interval_is_above_zero(
    above: float, below: float, over: float
) -> None:
    low, high = above - below, above + over
    text = said(mixture=point(0.7 - above, above, low, high))
    assert ("not proven" in text) == (low <= 0.0 <= high)
    assert ("points above" in text) == (round(100 * above, 1) > 0)


def test_the_table_shows_the_rivals_that_matter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    every = {name: point(0.6, 0.1, 0.05, 0.15) for name in METHODS if name != "planner"}
    found = compared(every, {**every, "my_own": point(0.65, 0.05, 0.01, 0.09)}, every, every)
    print_comparison(found)
    lines = capsys.readouterr().out.splitlines()
    starts = (
        "planner",
        "majority vote",
        "PRM best-of-n",
        "best fixed plan",
        "best mixture of two",
        "adaptive consistency",
        "best plan of similar questions",
        "oracle (an upper bound)",
        "my own",
    )
    for start in starts:
        assert sum(line.strip().startswith(start) for line in lines) == 1, start
    assert not any("unanimity" in line or "chance" in line or "±" in line for line in lines)
    assert " ".join(" ".join(lines).split()).endswith(
        "the best mixture of two fixed plans (95% interval 5.0 to 15.0) and "
        "5.0 points above my own (95% interval 1.0 to 9.0)."
    )
    assert max(map(len, lines)) <= 100
    print_comparison(found, everything=True)
    whole = capsys.readouterr().out
    for name in (*METHODS, "my_own"):
        assert f" {method_name(name)} " in whole, name
    assert "+10.0 ±5.0" in whole
    assert max(map(len, whole.splitlines())) <= 100
