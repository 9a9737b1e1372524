"""``benchmarks/readme_chart.py``: the README's chart shows what was measured."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_chart", ROOT / "benchmarks" / "readme_chart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    measured = json.loads((ROOT / "benchmarks" / "decision_quality.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = measured["evaluation"][0]
    return found


def test_lines_go_through_the_accuracies_of_the_table(
    drawing: ModuleType, evaluation: dict[str, Any]
) -> None:
    rows = drawing.rows(evaluation)
    for budget in evaluation["budgets"][:3]:
        samples = float(budget["name"].split()[0])
        for method, (name, *_) in drawing.METHODS.items():
            drawn = min(
                (row for row in rows if row["method"] == name), key=lambda row: abs(row["samples"] - samples)
            )
            assert drawn["accuracy"] == pytest.approx(100 * budget[method]["accuracy"], abs=0.3), (
                name,
                samples,
            )


def test_the_chart_that_is_committed_names_every_line(drawing: ModuleType) -> None:
    svg = (ROOT / "docs" / "accuracy.svg").read_text(encoding="utf-8")
    assert {name for name, *_ in drawing.METHODS.values()} <= set(re.findall(r">([^<>]+)</text>", svg))


def test_the_readme_tells_the_accuracies_of_the_table(evaluation: dict[str, Any]) -> None:
    told = (ROOT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    four, sixteen = evaluation["budgets"][:2]

    def percent(budget: dict[str, Any], method: str) -> str:
        return f"{100 * budget[method]['accuracy']:.1f}%"

    assert (
        f"{percent(four, 'planner')} against {percent(four, 'mixture')} at a mean budget of four samples"
        in told
    )
    assert f"{percent(sixteen, 'planner')} against {percent(sixteen, 'mixture')} at sixteen" in told
