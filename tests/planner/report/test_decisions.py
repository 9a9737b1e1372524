from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.evaluation.conduct import Conduct
from planner.report.decisions import budget_ladder, promises


@given(st.floats(0.01, 1000.0), st.floats(1.0, 1000.0))
def test_a_ladder_ascends_within_its_ends(low: float, ratio: float) -> None:
    rungs = budget_ladder(low, low * ratio)
    assert rungs
    assert list(rungs) == sorted(set(rungs))
    # two digits are kept where the rungs are not powers of two
    assert rungs[0] >= low * 0.94
    assert rungs[-1] <= low * ratio * 1.06


def conduct(problem: list[int], promised: list[float], happened: list[float]) -> Conduct:
    count = len(problem)
    return Conduct(
        1.0,
        np.zeros(1),
        np.zeros(1),
        np.array(problem),
        np.ones(count),
        np.array(promised),
        np.array(happened),
        {},
    )


def test_promises_fall_into_tenths() -> None:
    found = promises([conduct([0, 1, 2, 3], [0.31, 0.39, 1.0, 0.95], [0.0, 1.0, 1.0, 1.0])], 4)
    assert [(one.promised, one.met, one.share) for one in found] == [
        pytest.approx((0.35, 0.5, 0.5)),
        pytest.approx((0.975, 1.0, 0.5)),
    ]
    assert (found[0].low, found[0].high) == (0.0, 1.0)
    assert (found[1].low, found[1].high) == (1.0, 1.0)


def test_budgets_are_put_together() -> None:
    first, second = conduct([0], [0.5], [1.0]), conduct([0], [0.52], [0.0])
    (one,) = promises([first, second], 1)
    assert (one.promised, one.met, one.share) == pytest.approx((0.51, 0.5, 1.0))
