"""``docs/commands.md`` says what the commands say, and ``scripts/commands-page`` makes it."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

from planner.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("commands_page", str(ROOT / "scripts" / "commands-page"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    assert script.page() == PAGE, "run python scripts/commands-page"


def test_every_command_has_a_section(script: ModuleType) -> None:
    names = [name for name, _ in script.commands(get_command(app), "planner")]
    assert len(names) > 20
    assert [name for name in names if f"\n## {name}\n" not in PAGE] == []


def test_every_option_is_on_the_page(script: ModuleType) -> None:
    lost = [
        f"{name} {option}"
        for name, command in script.commands(get_command(app), "planner")
        for one in command.params
        if one.name != "help" and not one.hidden
        for option in one.opts
        if option.startswith("-") and f"`{option}`" not in PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    ]
    assert lost == []


def test_a_page_that_is_not_up_to_date_is_refused(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "commands.md"
    stale.write_text(PAGE.replace("## planner fit", "## planner learn"), encoding="utf-8")
    monkeypatch.setattr(script, "PAGE", stale)
    monkeypatch.setattr("sys.argv", ["commands-page", "--check"])
    with pytest.raises(SystemExit, match="run python scripts/commands-page"):
        script.main()
    monkeypatch.setattr("sys.argv", ["commands-page"])
    script.main()
    assert stale.read_text(encoding="utf-8") == PAGE
