"""``planner split``: halves on disk, a table, JSON, and one line for what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic
from typer.testing import CliRunner

from planner.cli.main import app
from search.log.store import SearchLog


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_log(
        tmp_path_factory.mktemp("split") / "log", synthetic.make_log(24, draws=3, ns=(4,), trees=True)
    )


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["split", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_json_and_logs_that_open(log: Path, tmp_path: Path) -> None:
    code, out, said = run(log, "-o", tmp_path / "halves", "--share", "0.25", "--json")
    assert code == 0, said
    halves = json.loads(out)["halves"]
    assert {name: one["families"] for name, one in halves.items()} == {"train": 3, "test": 9}
    train, test = (SearchLog.open(halves[name]["log"]) for name in ("train", "test"))
    assert (train.rows("problems"), test.rows("problems")) == (6, 18)
    for table in ("samples", "scores", "runs", "outcomes"):
        assert train.rows(table) * 3 == test.rows(table) > 0
        assert halves["train"]["rows"][table] == train.rows(table)


def test_a_table_for_people(log: Path, tmp_path: Path) -> None:
    code, out, said = run(log, "-o", tmp_path / "halves")
    assert code == 0, said
    assert [line.split()[:4] for line in out.splitlines() if line.strip().startswith(("train", "test"))] == [
        ["train", "6", "12", "50.0"],
        ["test", "6", "12", "50.0"],
    ]


@pytest.mark.parametrize(
    ("share", "rule"),
    [
        ("0", "the share of a split's first half is between 0 and 1, got 0"),
        ("x", "Input should be a valid number"),
    ],
)
def test_a_share_that_makes_no_sense_is_one_line(log: Path, tmp_path: Path, share: str, rule: str) -> None:
    code, _, said = run(log, "-o", tmp_path / "halves", "--share", share)
    assert code == 2
    assert said.count("\n") == 1
    assert rule in said
    assert not (tmp_path / "halves").exists()


def test_a_folder_that_is_taken_is_one_line(log: Path, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("")
    code, _, said = run(log, "-o", tmp_path)
    assert code == 2
    assert said.count("\n") == 1
    assert "a split needs a target that is new or empty, got " in said
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
