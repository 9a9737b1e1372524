"""``planner serve`` as far as its settings: help, faults on standard error, and what is served in the end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import planner.server.serve
from planner.cli.main import app
from planner.server.settings import ServeSettings


def ended(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        app(["serve", *arguments])
    return int(end.value.code or 0)


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServeSettings]:
    """The settings that would have been served."""
    found: list[ServeSettings] = []

    def keep(settings: ServeSettings, environment: Any, **_: Any) -> None:
        found.append(settings)

    monkeypatch.setattr(planner.server.serve, "serve", keep)
    monkeypatch.setattr("planner.server.access.exchange.log_to_stderr", lambda: None)
    return found


def test_help_shows_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert ended(["--help"]) == 0
    said = capsys.readouterr().out
    for name in (*ServeSettings.model_fields, "config", "new_key"):
        assert re.search(rf"--{name.replace('_', '-')}[ ,]", said), name
    assert "Default: 8400." in said
    for panel in ("Models", "Server", "Budgets", "Decision log"):
        assert f" {panel} " in said


def test_flags_variables_and_a_file_end_in_one_model(
    served: list[ServeSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "serve.toml"
    path.write_text("lab = true\nport = 1\nrunning = 1\nwaiting = 1\n")
    monkeypatch.setenv("PLANNER_SERVE_RUNNING", "2")
    monkeypatch.setenv("PLANNER_SERVE_WAITING", "2")
    assert ended(["--config", str(path), "--waiting", "3", "--prm", "a", "--prm", "b"]) == 0
    (settings,) = served
    assert (settings.port, settings.running, settings.waiting) == (1, 2, 3)
    assert settings.prm == ("a", "b")
    assert settings.max_tokens == 224


def test_every_fault_has_a_line_and_nothing_is_served(
    served: list[ServeSettings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "serve.toml"
    path.write_text("prot = 1\nrunning = 'all'\n")
    assert ended(["--lab", "--config", str(path), "--ceiling", "lots"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("planner: ") for line in lines)
    assert "did you mean 'port'?" in lines[0]
    assert not served
