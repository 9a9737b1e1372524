"""The planner, the logs and the worlds of the planner's tests, for studies."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "planner"))
sys.path.append(str(Path(__file__).resolve().parents[2] / "planner" / "evaluation"))

from tests.planner.conftest import data as data
from tests.planner.conftest import planner as planner
from tests.training.conftest import synthetic as synthetic
