"""``planner grade``: grades pairs of a reference and a solution: what was read, and whether it is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import print_table

if TYPE_CHECKING:
    from search.grading.pairs import GradedPair

__all__ = ["grade"]


def grade(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON lines: domain, reference, solution; programs: tests.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list, one item per record, in order.")
    ] = False,
) -> None:
    """Grade solutions against references: what was read from each, and whether it is right."""
    if source.is_dir():
        raise typer.BadParameter(f"it is a file of JSON lines, got the folder {str(source)!r}")
    _grade_file(source, as_json)


def _grade_file(path: Path, as_json: bool) -> None:
    from search.grading.pairs import grade_pairs, read_pairs

    rows = grade_pairs(read_pairs(path))
    if as_json:
        # ASCII, since half a surrogate pair in a solution has no UTF-8
        print(json.dumps([row.to_dict() for row in rows], indent=1))
        return
    names = sorted({row.domain or "-" for row in rows})
    print_table(
        f"Pairs of {path}",
        ["domain", "records", "right", "wrong", "unreadable", "errors"],
        [_counts(name, [row for row in rows if (row.domain or "-") == name]) for name in names],
        notes=[f"record {place}: {row.error}" for place, row in enumerate(rows, 1) if row.error is not None],
    )


def _counts(name: str, rows: list[GradedPair]) -> tuple[str, ...]:
    right = sum(row.right is True for row in rows)
    unreadable = sum(row.right is False and row.read is None for row in rows)
    errors = sum(row.right is None for row in rows)
    wrong = len(rows) - right - unreadable - errors
    return (name, *(f"{count:,}" for count in (len(rows), right, wrong, unreadable, errors)))
