"""Synthetic logs, which live beside the planner's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    path = Path(__file__).parents[1] / "planner" / "synthetic.py"
    spec = importlib.util.spec_from_file_location("synthetic_logs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["synthetic_logs"] = module
    spec.loader.exec_module(module)
    return module
