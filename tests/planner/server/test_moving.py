"""``docs/migration.md`` names only what there is."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from planner.cli.main import app
from planner.server.request.budget import HEADER, grant, read, to_wire
from planner.server.schema import Wishes
from planner.server.settings import ServeSettings
from search.budget import Budget

PAGE = (Path(__file__).parents[3] / "docs" / "migration.md").read_text(encoding="utf-8")
#: what stands in the right column
OURS = " ".join(line.split(" | ")[-1] for line in PAGE.splitlines() if line.startswith("| "))


def test_models_that_force_a_plan_are_taken() -> None:
    names = [name for name in re.findall(r"`(planner/[^`]+)`", OURS) if "..." not in name and "<" not in name]
    assert len(names) >= 4
    for name in names:
        granted = grant(name, header=None, body=None, default=Budget(samples=1), policies=("small",))
        assert granted["plan"] is not None, name


def test_options_fields_and_variables_exist() -> None:
    group = get_command(app)
    known = {
        option
        for command in ("serve", "fit")
        for parameter in group.commands[command].params  # type: ignore[attr-defined]
        for option in parameter.opts
    }
    assert set(re.findall(r"--[a-z-]+", OURS)) <= known
    variables = {field.default for name, field in ServeSettings.model_fields.items() if name.endswith("_env")}
    assert set(re.findall(r"PLANNER_[A-Z_]+", OURS)) <= variables
    assert f"`{HEADER}`" in OURS
    assert {"budget", "domain", "include"} <= Wishes.model_fields.keys()
    for budget in re.findall(r"`(\{\"[^`]+\})`", OURS):
        assert to_wire(read(budget))
