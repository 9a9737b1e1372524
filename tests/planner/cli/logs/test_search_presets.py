"""``planner search --grid`` by a preset's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app

MODELS = """
[[policy]]
name = "s"
embedded = "lab-policy-s"
thought_end = "#"
price = { input = 1.0, output = 4.0 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets")
    (folder / "models.toml").write_text(MODELS)
    made = CliRunner().invoke(
        app, ["train", "problems", "search", "4", "-o", str(folder / "problems.jsonl"), "--seed", "3"]
    )
    assert made.exit_code == 0, made.output
    return folder


def test_a_preset_is_priced_and_logs_nothing(folder: Path) -> None:
    done = CliRunner().invoke(
        app,
        [
            *("search", str(folder / "problems.jsonl"), "--models", str(folder / "models.toml")),
            *("--grid", "thinking", "-o", str(folder / "log"), "--dry-run", "--json"),
        ],
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [stage["name"] for stage in told["stages"]] == [
        *("s: greedy", "s: 8 samples"),
        *(f"s: 2 x {plan}think={n})" for n in (28, 56, 112) for plan in ("cot(", "majority(n=4, ")),
    ]
    assert told["usd"] > 0.0
    assert not (folder / "log").exists()


def test_a_grid_that_is_neither_a_file_nor_a_preset_names_the_presets(folder: Path) -> None:
    asked = ("search", str(folder / "problems.jsonl"), "--policy", "lab-policy-s", "--grid", "fats")
    done = CliRunner().invoke(app, [*asked, "-o", str(folder / "log")])
    assert done.exit_code == 2
    assert "a grid must be a file, or one of fast, full, thinking, got 'fats'" in done.output
    assert not (folder / "log").exists()


def test_fast_refuses_a_prm_in_one_line(folder: Path) -> None:
    done = CliRunner().invoke(
        app,
        [
            *("search", str(folder / "problems.jsonl"), "--policy", "lab-policy-s", "--prm", "lab-prm-weak"),
            *("--grid", "fast", "-o", str(folder / "log")),
        ],
    )
    assert done.exit_code == 2
    assert "the preset fast asks no PRM, got 'lab-prm-weak'" in done.output
    assert not (folder / "log").exists()
