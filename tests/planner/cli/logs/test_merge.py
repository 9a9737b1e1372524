"""``planner merge``: two campaigns become one log; contradictions are refused and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from search.log.comparison import difference
from search.log.store import SearchLog

GRID = """
samples = 4
block = 4
n = [1, 2]
strategies = ["cot", "majority", "best_of_n"]
score = ["last"]
group = 4
"""


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four problems searched with each of two policies, and with both at once."""
    folder = tmp_path_factory.mktemp("merge")
    (folder / "grid.toml").write_text(GRID)
    assert run("train", "problems", "search", "4", "-o", folder / "problems.jsonl", "--seed", "3")[0] == 0
    for policy in ("s", "m"):
        code, _, said = run(
            *("search", folder / "problems.jsonl", "--policy", f"lab-policy-{policy}"),
            *("--prm", "lab-prm-weak", "--grid", folder / "grid.toml", "-o", folder / policy),
        )
        assert code == 0, said
    return folder


def test_rows_of_both_policies(folder: Path, tmp_path: Path) -> None:
    code, out, said = run("merge", folder / "s", folder / "m", "-o", tmp_path / "both", "--json")
    assert code == 0, said
    body = json.loads(out)
    assert body["rows"]["problems"] == 4
    assert body["rows"]["samples"] == 2 * 4 * (4 + 1)
    assert body["policies"] == ["lab-policy-m", "lab-policy-s"]
    assert body["prms"] == ["lab-prm-weak"]
    code, _, _ = run("merge", folder / "m", folder / "s", "-o", tmp_path / "other")
    assert code == 0
    assert difference(SearchLog.open(tmp_path / "both"), SearchLog.open(tmp_path / "other")) is None


def test_a_table_for_people(folder: Path, tmp_path: Path) -> None:
    code, out, _ = run("merge", folder / "s", folder / "s", "-o", tmp_path / "same")
    assert code == 0
    assert "samples" in out
    assert "lab-policy-s" in out


@pytest.mark.parametrize("held", ["a file", "a folder with something"])
def test_a_target_that_is_taken(folder: Path, tmp_path: Path, held: str) -> None:
    target = tmp_path / "taken"
    if held == "a file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    code, _, _ = run("merge", folder / "s", folder / "m", "-o", target)
    assert code == 2
    assert (target if target.is_file() else target / "mine").read_text() == "mine"
