"""Synthetic logs and planners fitted on them, made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shared_planner import shared_data, shared_planner
from two_servers import TwoServers

from planner.evidence.training_data import TrainingData
from planner.planner import Planner


@pytest.fixture(scope="session")
def data() -> TrainingData:
    return shared_data()


@pytest.fixture(scope="session")
def planner() -> Planner:
    return shared_planner()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoServers]:
    """Two policies behind a server each, which run."""
    servers = TwoServers(tmp_path)
    servers.start()
    yield servers
    servers.stop()
