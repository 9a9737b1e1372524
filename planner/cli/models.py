"""``planner models check``: what the models of a models file can do, asked of their servers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.group import Commands
from planner.cli.printing import print_json, print_table
from planner.cli.progress import bar
from planner.models import find_model
from search.errors import ModelsError

if TYPE_CHECKING:
    from search.models.models_check import Checked

__all__ = ["app"]

app = typer.Typer(
    cls=Commands, help="Models files: where models run, what they can do.", no_args_is_help=True
)


@app.callback()
def models() -> None:
    """Models files: where models run, what they can do."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A models file (TOML): docs/models.md.")],
    timeout: Annotated[float, typer.Option(min=0.1, help="Most seconds of one request.")] = 120.0,
    patience: Annotated[
        float, typer.Option(min=0.0, help="Seconds to wait for a server that cannot be reached.")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask each model of a file what it can; tell what works with which strategy and what will be missing.

    Spends a few dozen tokens per model. Each fault is one line on standard error; then the exit code is 2.
    """
    from search.models.models_check import Checker
    from search.models_file import ModelsFile

    try:
        read = ModelsFile.read(file)
    except ModelsError as error:
        _end([f"{error.where}: {fault}" if error.where else fault for fault in error.faults], [], as_json)
        return
    total = len(read.policy) + len(read.prm) + len(read.judge)
    with bar("models check") as tell:
        asked = 0

        def progress(name: str) -> None:
            nonlocal asked
            tell(asked, total, name)
            asked += 1

        checker = Checker(read, find=find_model, timeout=timeout, patience=patience)
        found = checker.run(progress)
        tell(total, total)
    if not as_json:
        for one in found:
            if not one.fault:
                _print(one)
    _end([f"{file.name}: {one.fault}" for one in found if one.fault], found, as_json)


def _print(one: Checked) -> None:
    rows = [(name, answer) for name, answer in one.can.items()]
    works = [name for name, answer in one.strategies.items() if answer == "yes"]
    lacking = [
        f"{name}: {answer.removeprefix('no: ')}" for name, answer in one.strategies.items() if answer != "yes"
    ]
    if works:
        rows.append(("works with", ", ".join(works)))
    rows += [("does not work", line) for line in lacking]
    print_table(
        f"{one.kind} {one.name} ({one.place})",
        ["asked", "answer"],
        rows,
        left=2,
        notes=[f"missing: {line}" for line in one.missing],
    )


def _end(faults: list[str], found: list[Checked], as_json: bool) -> None:
    """Print the faults, and end with the exit code that they mean."""
    if as_json:
        print_json({"models": [asdict(one) for one in found], "faults": faults})
    for fault in faults:
        print(f"planner: {fault}", file=sys.stderr)
    if faults:
        raise typer.Exit(2)
