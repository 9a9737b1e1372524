from __future__ import annotations

import numpy as np

from planner.evaluation.timing import decision_ms
from planner.planner import Planner


def test_decisions_are_timed_only_when_asked(planner: Planner) -> None:
    found = decision_ms(planner, ["work out the sum of 3 + 41 + 7", "reach the target"], count=30)
    assert 0 < found["p50"] <= found["p99"]
    assert all(np.isnan(value) for value in decision_ms(planner, ["x"], count=0).values())
