"""Prints tables to standard output, or JSON for programs; progress goes to standard error."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search.plan import Plan

__all__ = [
    "brief",
    "error_console",
    "json_text",
    "number",
    "output_console",
    "percent",
    "print_json",
    "print_table",
]

#: columns where no terminal says how many it has
_WIDTH = 110


def output_console() -> Console:
    """Where tables go: as wide as the terminal, or wide enough for every table where there is none."""
    console = Console(highlight=False)
    return (
        console if console.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=_WIDTH)
    )


def error_console() -> Console:
    """Where progress and remarks go, so that standard output can be piped."""
    return Console(stderr=True, highlight=False)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: int = 1,
    notes: Iterable[str] = (),
    emphasised: Iterable[int] = (),
) -> None:
    """Print a table whose first ``left`` columns are text and whose others are figures, then the notes.

    ``emphasised`` holds the positions of the rows that are printed bold.
    """
    strong = frozenset(emphasised)
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        made.add_column(name, justify="left" if place < left else "right", overflow="fold")
    for place, row in enumerate(rows):
        made.add_row(*map(escape, row), style="bold" if place in strong else None)
    console = output_console()
    console.print(f"[italic]{escape(title)}[/italic]")
    console.print(made)
    for note in notes:
        console.print(note, style="dim", markup=False)


def brief(plan: Plan | str) -> str:
    """A plan without the numbers that it takes anyway, so that it fits a column. It parses back.

    >>> brief("beam_search(n=16, width=4, prune=last, score=last, vote=max)")
    'beam_search(n=16)'
    >>> brief("weighted_vote(n=4, score=min)")
    'weighted_vote(n=4, score=min)'
    """
    return (Plan.parse(plan) if isinstance(plan, str) else plan).brief


def number(value: float, digits: int = 0) -> str:
    """A number with thousands apart; ``-`` where nothing is known.

    >>> number(1234.5), number(0.25, 1), number(math.nan)
    ('1,234', '0.2', '-')
    """
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def percent(share: float | None) -> str:
    """A share in [0, 1] as percent with one decimal; ``-`` where there is none."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:z.1f}"


def print_json(value: Any) -> None:
    """One JSON document on standard output. Numbers that JSON lacks (NaN, infinity) become null."""
    print(json_text(value))


def json_text(value: Any) -> str:
    """Readable JSON. Numbers that JSON lacks (NaN, infinity) become null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
