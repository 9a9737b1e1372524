"""Worlds made of arrays, for the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import worlds

from planner.evaluation.baseline_context import BaselineContext


@pytest.fixture(scope="session")
def apart() -> BaselineContext:
    """Baselines pick on a log of its own."""
    return worlds.context(worlds.world(seed=1, trees=True), worlds.world(seed=2, trees=True))


@pytest.fixture(scope="session")
def crossed() -> BaselineContext:
    """Baselines pick on the other families of the same log."""
    return worlds.context(worlds.world(seed=1))
