"""The PostgreSQL of the decision log's tests, for studies; and the planner that one process makes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from training import fidelities
from training.study import fit_training_data


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_decisions = _module(
    "decisions_conftest", Path(__file__).parents[2] / "planner" / "server" / "decisions" / "conftest.py"
)
postgres = _decisions.postgres
postgres_url = _decisions.postgres_url


@pytest.fixture(scope="session")
def driver() -> ModuleType:
    """``study_driver.py``."""
    return _module("study_driver", Path(__file__).with_name("study_driver.py"))


@pytest.fixture(scope="session")
def alone(driver: Any) -> dict[str, Any]:
    """What ``study_driver.py`` tells of a study that is nobody else's, of two fidelities."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelities, "SMALLEST", driver.LOW[0])
        patch.setattr(fidelities, "LARGEST", driver.LOW[1])
        planner = fit_training_data(driver.data(), trials=driver.TRIALS, width=driver.WIDTH)
    found: dict[str, Any] = driver.told(planner)
    return found


@pytest.fixture(scope="session")
def plain(driver: Any) -> dict[str, Any]:
    """The same, of one fidelity."""
    found: dict[str, Any] = driver.told(
        fit_training_data(driver.data(), trials=driver.TRIALS, width=driver.WIDTH)
    )
    return found
