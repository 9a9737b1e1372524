"""A planner that serves (``planner``) and one that never did."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

from planner.planner import Planner


@pytest.fixture(scope="session")
def other(planner: Planner) -> Planner:
    """Another planner of the same models: it thinks better of some choices and worse of others."""
    rng = np.random.default_rng(3)
    stages = tuple(
        replace(stage, centre=stage.centre + 0.03 * rng.normal(size=len(stage.centre)))
        for stage in planner.stages
    )
    return replace(planner, stages=stages)
