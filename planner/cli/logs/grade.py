"""``planner grade``: grades pairs of a reference and a solution, or a whole search log again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import print_json, print_table
from planner.cli.progress import bar
from search.errors import LogError

if TYPE_CHECKING:
    from search.grading.pairs import GradedPair

__all__ = ["grade"]

_CHANGES = ("newly_right", "newly_wrong", "newly_readable", "newly_unreadable", "other_answer")


def grade(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|LOG",
            help="JSON lines: domain, reference, solution; programs: tests. Or a search log: a folder.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="NEW", help="LOG: the graded log; default: in its place."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="LOG: tell what would change; write nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list with one item per record, or the changes.")
    ] = False,
) -> None:
    """Grade solutions: what was read from each and whether it is right; or a log again, and what changed."""
    if source.is_dir():
        _grade_log(source, output, dry_run=dry_run, as_json=as_json)
        return
    if not source.exists():
        raise LogError(f"a file of records or a search log must exist, got {str(source)!r}")
    for option, given in (("--output", output is not None), ("--dry-run", dry_run)):
        if given:
            raise typer.BadParameter(f"{option} is for a search log, got the file {str(source)!r}")
    _grade_file(source, as_json)


def _grade_log(path: Path, output: Path | None, *, dry_run: bool, as_json: bool) -> None:
    from search.campaigns.regrade import regrade
    from search.log.store import SearchLog

    with bar("grading") as tell:
        done = regrade(SearchLog.open(path), output, dry=dry_run, progress=tell)
    written = not dry_run and (output is not None or done.changed_units > 0)
    if as_json:
        print_json(
            {
                "log": str(path),
                "output": str(done.path) if written else None,
                "changed_rows": done.changed_rows,
                "changes": [asdict(change) for change in done.changes],
            }
        )
        return
    where = f"written to {done.path}" if written else "nothing was written"
    print_table(
        f"Search log {path}, graded again",
        ["table", "domain", "policy", "rows", "right", "wrong", "readable", "unreadable", "other"],
        [
            (
                *(change.table, change.domain, change.policy, f"{change.rows:,}"),
                *(f"{getattr(change, name):,}" for name in _CHANGES),
            )
            for change in done.changes
        ],
        left=3,
        notes=[
            "Right, wrong, readable, unreadable: rows that became so. Other: another answer was read.",
            f"{done.changed_rows:,} rows differ; {where}.",
        ],
    )


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
