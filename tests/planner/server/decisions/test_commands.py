"""The commands that read a decision log do so alike on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
import synthetic
from typer.testing import CliRunner

sys.path.append(str(Path(__file__).resolve().parents[4] / "benchmarks"))

from traffic_log import serve, shadow

import planner
from planner.cli.main import app
from planner.planner import Planner
from planner.server.decisions.store import Store


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign ``log`` and the planner ``old`` that was fitted on it."""
    folder = tmp_path_factory.mktemp("commands")
    made = synthetic.make_log(60, draws=6, ns=(2,), policies=("small", "large"), prms=(), seed=1)
    synthetic.write_log(folder / "log", made, policies=("small", "large"), prms=())
    planner.fit(folder / "log", trials=0).save(folder / "old")
    return folder


def told(*arguments: str | Path) -> dict[str, object]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_ope_refit_and_savings(where: str, campaign: Path, tmp_path: Path) -> None:
    old = Planner.load(campaign / "old")
    made = serve(old, where, 400, budget={"mean_flops": 3e8}, share=0.5)
    found = told("ope", where, "--planner", campaign / "old")
    share = sum(right for _, right in made) / 400
    assert found["decisions"] == found["known"] == 400
    assert found["value"]["served"]["value"] == pytest.approx(share, abs=1e-9)  # type: ignore[index]
    refitted = told(
        "refit", "--log", campaign / "log", "--decisions", where, "--planner", campaign / "old",
        "-o", tmp_path / "new", "--since", "1970-01-01",
    )  # fmt: skip
    assert refitted["card"]["refit"]["decisions"] == 400  # type: ignore[index]
    assert (tmp_path / "new").exists() == (refitted["refused"] is None)


def test_savings(where: str, planner: Planner) -> None:
    shadow(planner, where, 120)
    found = told("savings", where)
    assert (found["requests"], found["planned"]) == (120, 120)
    assert found["pairs"] == 12


def refused(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("planner: ").strip()


def test_an_empty_log_is_one_line_each(where: str, campaign: Path, tmp_path: Path) -> None:
    Store.open(where).close()
    old = ("--planner", campaign / "old")
    empty = "an estimate needs decisions, got a log without any"
    assert refused("ope", where, *old) == empty
    assert refused("refit", "--log", campaign / "log", "--decisions", where, "-o", tmp_path / "new") == empty
    assert refused("savings", where).endswith("got none among 0 decisions")
    assert refused("challenge", where).endswith("got a log of one without")
    assert not (tmp_path / "new").exists()


def test_an_empty_file_is_no_decision_log(tmp_path: Path) -> None:
    empty, other = tmp_path / "empty.db", tmp_path / "other.db"
    empty.touch()
    assert refused("savings", empty) == f"a decision log holds decisions, got an empty file {str(empty)!r}"
    assert empty.stat().st_size == 0
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    assert refused("savings", other).endswith(f"got none in {str(other)!r}: it is another database")


def test_a_log_of_another_version_is_one_line_each(where: str, campaign: Path, tmp_path: Path) -> None:
    store = Store.open(where)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'later'")
    store.close()
    for command in (
        ("ope", where, "--planner", campaign / "old"),
        ("refit", "--log", campaign / "log", "--decisions", where, "-o", tmp_path / "new"),
        ("savings", where),
        ("challenge", where),
    ):
        said = refused(*command)
        assert said.startswith("a decision log to read has version")
        assert said.endswith("got 'later'")


def test_a_log_that_is_none_is_one_line(campaign: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("nothing\n" * 200)
    said = refused("ope", other, "--planner", campaign / "old")
    assert "notes.txt" in said
