from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from planner.planner import Planner
from planner.report import make as module
from planner.report.make import make
from search.cards import ModelCard
from search.errors import ArtefactError, LogError, TooLittleDataError
from search.log.manifest import Manifest
from search.log.store import SearchLog


def on_disk(path: Path, problems: int, policies: dict[str, ModelCard] = synthetic.POLICIES) -> Path:
    """A synthetic search log in a folder."""
    log = SearchLog.create(path, Manifest({}, policies, synthetic.PRMS))
    frames = synthetic.make_log(problems, policies=("small", "large"), trees=True, seed=3).frames
    with log.writing():
        for name, frame in frames.items():
            if name == "outcomes":
                log.replace(name, frame)
            else:
                log.append(name, frame, unit="all")
    return path


@pytest.fixture
def fitted(planner: Planner, tmp_path: Path) -> Path:
    planner.save(tmp_path / "fitted")
    return tmp_path / "fitted"


def test_a_log_without_bins_says_why(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(log: SearchLog) -> None:
        raise LogError("a pool holds more samples than the largest n, got 4")

    monkeypatch.setattr(module, "bins", refuse)
    log = on_disk(tmp_path / "held-out", 24)
    found = make(log, fitted, on_disk(tmp_path / "learned", 24), budgets=(1.0,), timed=0)
    assert found.cells == ()
    assert found.notes[-1] == "there is no heat map: a pool holds more samples than the largest n, got 4"
    header = found.header
    assert (header.log, header.planner, header.training) == ("held-out", "fitted", "learned")


def test_foreign_models_are_refused_by_name(fitted: Path, tmp_path: Path) -> None:
    other = {**synthetic.POLICIES, "small": replace(synthetic.POLICIES["small"], fingerprint="other")}
    with pytest.raises(ArtefactError, match="got 'small' with fingerprint 'other'"):
        make(on_disk(tmp_path / "log", 3, other), fitted)


def test_one_problem_is_too_little(fitted: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLittleDataError, match="at least 2 problems, got 1"):
        make(on_disk(tmp_path / "log", 1), fitted, timed=0)
