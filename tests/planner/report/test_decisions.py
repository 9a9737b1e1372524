from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.evaluation.budget_adherence import BudgetAdherence
from planner.report.decisions import budget_ladder, promises


@given(st.floats(0.01, 1000.0), st.floats(1.0, 1000.0))
def test_a_ladder_ascends_within_its_ends(low: float, ratio: float) -> None:
    fidelities = budget_ladder(low, low * ratio)
    assert fidelities
    assert list(fidelities) == sorted(set(fidelities))
    # two digits are kept where the rungs are not powers of two
    assert fidelities[0] >= low * 0.94
    assert fidelities[-1] <= low * ratio * 1.06


def budget_adherence(problem: list[int], expected: list[float], actual: list[float]) -> BudgetAdherence:
    count = len(problem)
    return BudgetAdherence(
        budget=1.0,
        accuracy=np.zeros(1),
        flops=np.zeros(1),
        problem=np.array(problem),
        weight=np.ones(count),
        expected=np.array(expected),
        actual=np.array(actual),
        ended={},
    )


def test_promises_fall_into_tenths() -> None:
    found = promises([budget_adherence([0, 1, 2, 3], [0.31, 0.39, 1.0, 0.95], [0.0, 1.0, 1.0, 1.0])], 4)
    assert [(one.expected, one.met, one.share) for one in found] == [
        pytest.approx((0.35, 0.5, 0.5)),
        pytest.approx((0.975, 1.0, 0.5)),
    ]
    assert (found[0].low, found[0].high) == (0.0, 1.0)
    assert (found[1].low, found[1].high) == (1.0, 1.0)


def test_budgets_are_put_together() -> None:
    first, second = budget_adherence([0], [0.5], [1.0]), budget_adherence([0], [0.52], [0.0])
    (one,) = promises([first, second], 1)
    assert (one.expected, one.met, one.share) == pytest.approx((0.51, 0.5, 1.0))
