from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.area import area
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler


def test_it_is_the_mean_over_the_log_of_the_budget() -> None:
    flat = Track("a", np.full((9, 1), 0.4), np.ones((9, 1)), np.ones((9, 1)))
    # from 1 to 16 accuracy rises with the log: the mean is in the middle
    grid = np.geomspace(1, 16, 200)
    cost = np.tile(grid, (9, 1))
    rising = Track("b", np.tile(np.linspace(0.2, 0.8, 200), (9, 1)), cost, cost)
    resampler = Resampler(9, resamples=50)
    assert area(flat, flat, [1.0, 16.0], resampler).value == pytest.approx(0.4)
    found = area(flat, rising, [1.0, 4.0, 16.0], resampler)
    assert found.planner_above == pytest.approx(0.1, abs=1e-3)
    assert area(rising, rising, [1.0, 16.0], resampler).value == pytest.approx(0.5, abs=1e-3)
    assert area(rising, rising, [4.0], resampler).value == pytest.approx(0.5, abs=1e-2)
