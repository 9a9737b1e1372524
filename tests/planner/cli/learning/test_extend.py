"""``planner extend``: what it prints, what it writes, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic
from typer.testing import CliRunner

import planner
from planner.cli.main import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planner of ``small`` and logs to extend it with."""
    folder = tmp_path_factory.mktemp("extend")
    for name, problems, seed, policies in (
        ("old", 90, 1, ("small",)),
        ("new", 60, 2, ("small", "large")),
        ("few", 30, 3, ("small", "large")),
    ):
        made = synthetic.make_log(problems, draws=6, ns=(2,), policies=policies, prms=(), seed=seed)
        synthetic.write_log(folder / name, made, policies=policies, prms=())
    planner.fit(folder / "old", trials=0).save(folder / "model")
    return folder


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["extend", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_it_tells_what_it_learned_and_the_verdict(folder: Path, tmp_path: Path) -> None:
    code, out, said = run(folder / "model", "--log", folder / "new", "-o", tmp_path / "out")
    assert code == 0, said
    lines = " ".join(out.split())
    assert "decides about large too, learned from 60 problems of 12 families." in lines
    assert "go most along with those of small (" in lines
    assert "best fixed choice" in lines
    assert "the planner as it was (" in lines
    assert set(planner.load(tmp_path / "out").policies) == {"small", "large"}


def test_json_for_programs(folder: Path, tmp_path: Path) -> None:
    code, out, said = run(folder / "model", "--log", folder / "new", "-o", tmp_path / "out", "--json")
    assert code == 0, said
    body = json.loads(out)
    assert body["planner"] == str(tmp_path / "out")
    assert body["card"]["extended"][0]["model"] == "large"
    assert body["card"]["verdict"]["sentence"]


def test_the_function_does_the_same(folder: Path, tmp_path: Path) -> None:
    run(folder / "model", "--log", folder / "new", "-o", tmp_path / "out")
    made = planner.extend(folder / "model", folder / "new")
    known = planner.load(tmp_path / "out")
    assert made.card | {"date": ""} == {**known.card, "date": ""} | {"extended": made.card["extended"]}


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("old", "a log that extends a planner holds one model beside its own (small), got none"),
        ("few", "a model is learned from at least 50 complete problems, got 30"),
    ],
)
def test_bad_logs_are_refused_in_one_line(folder: Path, tmp_path: Path, log: str, told: str) -> None:
    code, _, said = run(folder / "model", "--log", folder / log, "-o", tmp_path / "out")
    assert code == 2
    assert said.startswith(f"planner: {told}") or told in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_refused(folder: Path) -> None:
    code, _, said = run(folder / "model", "--log", folder / "new", "-o", folder / "old")
    assert code == 2
    assert "a planner is written to a new folder" in said
