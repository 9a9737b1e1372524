"""``planner search --shard``: the parts merged are one machine's log, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from planner.cli.main import app
from search.log.comparison import difference
from search.log.store import SearchLog
from search.log.tables import TABLES

GRID = """
samples = 4
block = 4
n = [1, 4]
runs = 1
strategies = ["cot", "majority", "best_of_n", "beam_search"]
group = 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shard")
    (folder / "grid.toml").write_text(GRID)
    made = CliRunner().invoke(
        app, ["train", "problems", "search", "10", "-o", str(folder / "problems.jsonl")]
    )
    assert made.exit_code == 0, made.output
    lines = (folder / "problems.jsonl").read_text().splitlines()
    (folder / "turned.jsonl").write_text("\n".join(reversed(lines)) + "\n")
    return folder


def search(folder: Path, log: str, *options: str, problems: str = "problems.jsonl") -> Result:
    return CliRunner().invoke(
        app,
        [
            *("search", str(folder / problems), "--policy", "lab-policy-s", "--prm", "lab-prm-good"),
            *("--grid", str(folder / "grid.toml"), "-o", str(folder / log), "--json", *options),
        ],
    )


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_merged_shards_are_one_machines_log_and_limits_hold_for_each(folder: Path) -> None:
    whole = told(search(folder, "whole"))
    first = told(search(folder, "first", "--shard", "1/2"))
    stopped = told(
        search(folder, "second", "--shard", "2/2", "--spend", "tokens=600", problems="turned.jsonl")
    )
    assert stopped["is_stopped"]
    assert stopped["tokens"] <= 600
    second = told(search(folder, "second", "--shard", "2/2", problems="turned.jsonl"))
    assert first["rows"]["problems"] + second["rows"]["problems"] == whole["rows"]["problems"] == 10
    parts = [str(folder / "first"), str(folder / "second")]
    merged = CliRunner().invoke(app, ["merge", *parts, "-o", str(folder / "merged")])
    assert merged.exit_code == 0, merged.output
    one, joined = SearchLog.open(folder / "whole"), SearchLog.open(folder / "merged")
    assert difference(one, joined) is None
    assert one.manifest == joined.manifest
    assert {table: one.units(table) for table in TABLES} == {table: joined.units(table) for table in TABLES}


def test_a_dry_run_is_of_the_shard_and_bad_values_are_one_line(folder: Path) -> None:
    whole, part = (
        told(search(folder, "none", "--dry-run")),
        told(search(folder, "none", "--dry-run", "--shard", "2/3")),
    )
    assert part["flops"] < 0.6 * whole["flops"]
    assert not (folder / "none").exists()
    for value, said in (("4/3", "got 4/3"), ("one", "got 'one'"), ("1/9", "got 9 shards of 3 groups")):
        refused = search(folder, "none", "--shard", value)
        assert refused.exit_code == 2
        assert said in " ".join(refused.stderr.split())
    assert not (folder / "none").exists()
