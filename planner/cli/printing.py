"""Prints tables to standard output, or JSON for programs; progress goes to standard error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

__all__ = ["error_console", "output_console", "percent", "print_json", "table"]


def output_console() -> Console:
    """Where tables go."""
    return Console(highlight=False)


def error_console() -> Console:
    """Where progress and remarks go, so that standard output can be piped."""
    return Console(stderr=True, highlight=False)


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: int = 1,
    caption: str | None = None,
    emphasised: Iterable[int] = (),
) -> Table:
    """A table whose first ``left`` columns are text and whose others are figures.

    ``emphasised`` holds the positions of the rows that are printed bold.
    """
    strong = frozenset(emphasised)
    made = Table(title=title, caption=caption, box=SIMPLE_HEAD, title_justify="left", caption_justify="left")
    for place, name in enumerate(columns):
        made.add_column(name, justify="left" if place < left else "right", overflow="fold")
    for place, row in enumerate(rows):
        made.add_row(*row, style="bold" if place in strong else None)
    return made


def percent(share: float | None) -> str:
    """A share in [0, 1] as percent with one decimal; ``-`` where there is none."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.1f}"


def print_json(value: Any) -> None:
    """One JSON document on standard output. Numbers that JSON lacks (NaN, infinity) become null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
