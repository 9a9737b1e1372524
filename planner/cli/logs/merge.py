"""``planner merge``: one search log from several, whose settings and models agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.printing import print_json, print_table

__all__ = ["merge"]


def merge(
    logs: Annotated[list[Path], typer.Argument(help="Search logs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder that is new or empty.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put the rows of several search logs into a new one; logs that contradict each other are refused."""
    import polars as pl

    from search.log.merge import merge_logs
    from search.log.store import SearchLog
    from search.log.tables import TABLES

    merged = merge_logs([SearchLog.open(path) for path in logs], output)
    manifest = merged.manifest
    counts = {name: int(merged.scan(name).select(pl.len()).collect().item()) for name in TABLES}
    if as_json:
        models = {"policies": sorted(manifest.policies), "prms": sorted(manifest.prms)}
        print_json({"log": merged.where, "rows": counts, **models})
        return
    print_table(
        merged.where,
        ["table", "rows"],
        [(name, f"{count:,}") for name, count in counts.items() if count],
        left=1,
        notes=[f"Policies: {', '.join(manifest.policies)}.", f"PRMs: {', '.join(manifest.prms) or 'none'}."],
    )
