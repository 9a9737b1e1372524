"""Synthetic logs and planners fitted on them, made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import synthetic
from two_servers import TwoServers

from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from training.study import fit_training_data


def training_data_of(problems: int, **how: object) -> TrainingData:
    return read_training_data(synthetic.make_log(problems, **how), synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def data() -> TrainingData:
    return training_data_of(160, policies=("small", "large"), trees=True)


@pytest.fixture(scope="session")
def planner(data: TrainingData) -> Planner:
    """What it has learned decides at every price, so that there is something to see of it."""
    fitted = fit_training_data(data, trials=0, date="2026-01-01")
    first, *others = fitted.stages
    return replace(fitted, stages=(replace(first, trust=None), *others))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoServers]:
    """Two policies behind a server each, which run."""
    servers = TwoServers(tmp_path)
    servers.start()
    yield servers
    servers.stop()
