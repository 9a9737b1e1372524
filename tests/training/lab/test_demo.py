"""The demo's loop at its smallest: every step works, and equal seeds give equal figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import training.lab.demo
from planner.cli.main import app
from training.lab.demo import Sizes

TINY = Sizes(learn=64, held_out=8, samples=2, n=(1, 2), tree_n=(4,), trials=1, budgets=(2.0,))


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: without_seconds(inner) for name, inner in value.items() if name not in ("seconds", "folder")
        }
    return [without_seconds(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_the_demo_is_repeatable_and_tells_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.lab.demo, "QUICK", TINY)
    found = []
    for name in ("first", "second"):
        done = CliRunner().invoke(
            app, ["demo", "--quick", "--json", "--seed", "5", "-o", str(tmp_path / name)]
        )
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout))
        assert found[-1] == json.loads((tmp_path / name / "demo.json").read_text())
    assert without_seconds(found[0]) == without_seconds(found[1])
    assert {"log", "held-out-log", "planner", "problems.jsonl", "held-out.jsonl", "new.jsonl"} <= {
        path.name for path in (tmp_path / "first").iterdir()
    }
    assert len({one["problem"]["domain"] for one in found[0]["solved"]}) == 3
    (row,) = found[0]["evaluation"]["budgets"]
    assert {"planner", "majority", "best_fixed", "mixture", "oracle"} <= set(row)
