from __future__ import annotations

import sys
from pathlib import Path

import pytest
import synthetic
from typer.testing import CliRunner

from planner.cli.main import app
from planner.planner import Planner
from search.log.manifest import Manifest
from search.log.store import SearchLog


def refused(*arguments: str) -> str:
    """The one line that a command says before it has done anything."""
    done = CliRunner().invoke(app, ["report", *arguments])
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("planner: ").strip()


@pytest.fixture
def folders(planner: Planner, tmp_path: Path) -> tuple[Path, Path]:
    """A search log on disk, with questions that hold markup, and the planner."""
    frames = synthetic.make_log(40, policies=("small", "large"), trees=True, draws=16, seed=3).frames
    log = SearchLog.create(tmp_path / "log", Manifest({}, synthetic.POLICIES, synthetic.PRMS))
    frames["problems"] = frames["problems"].with_columns(frames["problems"]["question"] + " <b>now</b>")
    with log.writing():
        for name, frame in frames.items():
            if name == "outcomes":
                log.replace(name, frame)
            else:
                log.append(name, frame, unit="all")
    planner.save(tmp_path / "fitted")
    return tmp_path / "log", tmp_path / "fitted"


def test_one_page_and_its_figures(folders: tuple[Path, Path], tmp_path: Path) -> None:
    log, fitted = folders
    output, figures = tmp_path / "page.html", tmp_path / "figures"
    arguments = ["report", str(log), "--planner", str(fitted), "-o", str(output), "--figures", str(figures)]
    done = CliRunner().invoke(app, [*arguments, "--budgets", "1,4"])
    assert done.exit_code == 0, done.output
    assert "the planner is right on" in done.stdout
    assert f"Look: {output} and 14 figures" in " ".join(done.stdout.split())
    names = ("accuracy", "best-plans", "cost", "endings", "influence", "reliability", "rivals")
    assert sorted(path.stem for path in figures.glob("*.svg")) == sorted(names)
    text = output.read_text()
    assert "40 problems of 12 families" in text
    assert "&lt;b&gt;now&lt;/b&gt;" in text
    assert "<b>now</b>" not in text
    assert str(tmp_path) not in text


def test_without_the_extra_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    said = refused(str(tmp_path / "log"), "-o", str(tmp_path / "page.html"))
    assert said == "a report needs the report extra, got no altair: pip install 'test-time-planner[report]'"


def test_a_file_of_somebody_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("mine")
    assert "over another report" in refused(str(tmp_path / "log"), "-o", str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text() == "mine"


def test_bad_input_writes_nothing(planner: Planner, tmp_path: Path) -> None:
    page = str(tmp_path / "page.html")
    assert "a search log" in refused(str(tmp_path / "none"), "-o", page).lower()
    assert "numbers parted by commas" in refused(str(tmp_path), "-o", page, "--budgets", "4,many")
    assert list(tmp_path.iterdir()) == []
