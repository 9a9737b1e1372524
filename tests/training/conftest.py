"""Synthetic logs, which live beside the planner's tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from planner.evaluation.folds.cross_validation import BudgetMet, CrossValidation


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


@pytest.fixture(scope="session")
def met() -> Callable[..., CrossValidation]:
    """Makes a cross-validation of ten problems alike, whose only rule is right half of the time."""

    def make(planner: float, spent: float = 1.0) -> CrossValidation:
        accuracy = {"planner": planner, "chosen_rule": 0.5, "mixture": 0.5}
        one = BudgetMet(
            budget=1.0,
            accuracy={name: np.full(10, value) for name, value in accuracy.items()},
            flops={name: np.full(10, spent) for name in accuracy},
            chosen=("mixture",),
        )
        return CrossValidation(
            problems=tuple("abcdefghij"),
            families=tuple("abcdefghij"),
            fold=np.arange(10) % 2,
            unit=1.0,
            unit_policy="small",
            budgets=(one,),
            rules=("mixture",),
            missing={},
            notes=(),
            trials=0,
            seed=0,
        )

    return make
