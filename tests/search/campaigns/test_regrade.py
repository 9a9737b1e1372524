from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import scripted_campaign as scripted
from typer.testing import CliRunner

from planner.cli.main import app
from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.campaigns.regrade import regrade
from search.errors import GradingError, LogError
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.outcomes import rebuild_outcomes
from search.log.store import SearchLog
from search.problem import Problem


def log_at(path: Path, count: int = 6) -> SearchLog:
    log = SearchLog.at(path)
    grid = Grid.of(scripted.GRID)
    loader = ReadyLoader([scripted.engine()], [scripted.reward()])
    Campaign(scripted.problems(count), grid, log, loader).run()
    with log.writing():
        rebuild_outcomes(log, [plan for plan in grid.plans() if not plan.must_run])
    return log


def spoil(log: SearchLog) -> tuple[int, int, int]:
    """Make a log what worse graders would have made it: how many samples lost their answer, how many right
    ones are called wrong, and how many wrong ones right."""
    unread = called_wrong = called_right = 0
    for unit in sorted(log.units("samples")):
        frame = log.read_unit("samples", unit)
        lost = pl.col("draw") == 1
        unread += frame.filter(lost & pl.col("answer").is_not_null()).height
        called_wrong += frame.filter(lost & pl.col("correct")).height
        called_right += frame.filter((pl.col("draw") == 2) & ~pl.col("correct")).height
        frame = frame.with_columns(
            answer=pl.when(lost).then(None).otherwise("answer"),
            correct=pl.when(lost).then(False).when(pl.col("draw") == 2).then(True).otherwise("correct"),
        )
        backend = log.backend("samples", unit)
        log.part("samples", unit).unlink()
        log.append("samples", frame, unit=unit, backend=backend)
    for unit in sorted(log.units("runs")):
        frame = log.read_unit("runs", unit).with_columns(
            answer=pl.lit(None, pl.String), correct=pl.lit(False), outcome=pl.lit("unreadable")
        )
        log.part("runs", unit).unlink()
        log.append("runs", frame, unit=unit, backend="ScriptedEngine")
    return unread, called_wrong, called_right


def test_a_log_is_what_the_present_graders_make_it(tmp_path: Path) -> None:
    right, log = log_at(tmp_path / "right"), log_at(tmp_path / "log")
    unread, called_wrong, called_right = spoil(log)
    assert min(unread, called_wrong, called_right) > 0
    before = {path: path.read_bytes() for path in log.path.rglob("*.parquet")}
    would = regrade(SearchLog.open(log.path), dry=True)
    assert {path: path.read_bytes() for path in log.path.rglob("*.parquet")} == before
    done = regrade(SearchLog.open(log.path))
    assert done.changes == would.changes
    samples = next(change for change in done.changes if change.table == "samples")
    assert (samples.domain, samples.policy, samples.rows) == ("text", "m", 6 * 9)
    assert (samples.newly_readable, samples.newly_unreadable) == (unread, 0)
    assert (samples.newly_right, samples.newly_wrong) == (called_wrong, called_right)
    assert difference(SearchLog.open(log.path), right) is None
    assert not list(tmp_path.glob("*.grading*"))
    assert SearchLog.open(log.path).backend("samples", min(log.units("samples"))) == "ScriptedEngine"
    again = regrade(SearchLog.open(log.path))
    assert (again.changed_rows, again.changed_units) == (0, 0)


def test_a_graded_log_may_lie_beside_its_source(tmp_path: Path) -> None:
    right, log = log_at(tmp_path / "right"), log_at(tmp_path / "log")
    spoil(log)
    before = {path: path.read_bytes() for path in log.path.rglob("*.parquet")}
    done = regrade(SearchLog.open(log.path), tmp_path / "new")
    assert done.path == tmp_path / "new"
    assert {path: path.read_bytes() for path in log.path.rglob("*.parquet")} == before
    assert difference(SearchLog.open(tmp_path / "new"), right) is None
    with pytest.raises(LogError, match="a graded log needs a target that is new or empty"):
        regrade(SearchLog.open(log.path), tmp_path / "new")


def test_a_failure_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_at(tmp_path / "log")
    spoil(log)
    before = {path: path.read_bytes() for path in log.path.rglob("*.parquet")}

    def full(*_: object) -> None:
        raise OSError("no space is left")

    monkeypatch.setattr("search.campaigns.regrade.exchange", full)
    with pytest.raises(OSError, match="no space is left"):
        regrade(SearchLog.open(log.path))
    assert {path: path.read_bytes() for path in log.path.rglob("*.parquet")} == before
    assert not list(tmp_path.glob("*.grading"))


def test_who_writes_the_log_is_not_disturbed(tmp_path: Path) -> None:
    log = log_at(tmp_path / "log")
    with log.writing(), pytest.raises(LogError, match="one process writes a search log at a time"):
        regrade(SearchLog.open(log.path))


def test_a_reference_that_graders_do_not_know_names_its_problem(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    loader = ReadyLoader([scripted.engine()], [scripted.reward()])
    problem = Problem("strange", "f", "text", "which is 7?", "7")
    Campaign([problem], Grid.of(scripted.GRID), log, loader).run()
    frame = log.read("problems").with_columns(domain=pl.lit("poetry"))
    log.replace("problems", frame)
    for unit in log.units("problems") - {"derived"}:
        log.part("problems", unit).unlink()
    with pytest.raises(GradingError, match="domain must be one of"):
        regrade(SearchLog.open(log.path))


def test_the_command_tells_what_changed(tmp_path: Path) -> None:
    log = log_at(tmp_path / "log")
    unread, called_wrong, _ = spoil(log)

    def run(*options: str) -> str:
        done = CliRunner().invoke(app, ["grade", str(log.path), *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    told = json.loads(run("--dry-run", "--json"))
    assert told["output"] is None
    counts = {change["table"]: change for change in told["changes"]}
    assert counts["samples"]["newly_readable"] == unread
    assert counts["samples"]["newly_right"] == called_wrong
    assert counts["runs"]["newly_readable"] > 0
    assert "nothing was written" in run("--dry-run")
    assert json.loads(run("--json", "-o", str(tmp_path / "new")))["output"] == str(tmp_path / "new")
    assert "written to" in " ".join(run().split())
    assert "0 rows differ; nothing was written" in " ".join(run().split())
    (tmp_path / "pairs.jsonl").write_text("{}\n")
    bad = CliRunner().invoke(app, ["grade", str(tmp_path / "pairs.jsonl"), "--dry-run"])
    assert bad.exit_code == 2
