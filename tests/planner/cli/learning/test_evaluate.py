"""``planner evaluate`` on a synthetic log that lies on disk: JSON, tables, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic
from typer.testing import CliRunner

from planner.cli.main import app
from planner.planner import Planner


@pytest.fixture(scope="module")
def folder(planner: Planner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planner and two logs: one to evaluate on, one to pick on."""
    folder = tmp_path_factory.mktemp("evaluate")
    planner.save(folder / "planner")
    for name, seed in (("held-out", 5), ("learned", 6)):
        made = synthetic.make_log(40, policies=("small", "large"), trees=True, draws=16, seed=seed)
        synthetic.write_log(folder / name, made)
    return folder


def ran(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_json_for_programs_and_tables_for_people(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    given = (folder / "held-out", "--planner", folder / "planner", "--training", folder / "learned")
    body = json.loads(ran(*given, "--budgets", "4,16", "--json"))
    assert [row["name"] for row in body["budgets"]] == ["4 samples", "16 samples"]
    assert body["decision_ms"]["p50"] > 0
    assert {cell["policy"] for cell in body["headline"]} == {"small", "large"}
    text = ran(*given, "--clustered", "--all")
    for name in ("planner", "adaptive", "windows", "neighbours", "oracle"):
        assert any(line.strip().startswith(name) for line in text.splitlines()), name
    assert "majority over itself" in text
    assert "Multiple: the least compute" in text.replace("\n", " ")
    assert "families are few" in text
    assert max(map(len, text.splitlines())) <= 100
    # the table of methods is one line each, at four budgets
    assert sum(line.startswith(" planner") for line in text.splitlines()) == 1


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ("4,4", "budgets are given once, got '4,4'"),
        ("0", "budgets are above 0, got '0'"),
        ("4;16", "budgets are numbers parted by commas, got '4;16'"),
    ],
)
def test_budgets_that_make_no_sense(folder: Path, budgets: str, said: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(folder / "held-out"), "--budgets", budgets])
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
