"""Synthetic logs and planners fitted on them, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import synthetic

from planner.experience import Experience, read_experience
from planner.planner import Planner
from training.study import fit_experience


def experience_of(problems: int, **how: object) -> Experience:
    return read_experience(synthetic.make_log(problems, **how), synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def experience() -> Experience:
    return experience_of(160, policies=("small", "large"), trees=True)


@pytest.fixture(scope="session")
def planner(experience: Experience) -> Planner:
    return fit_experience(experience, trials=0, date="2026-01-01")
