"""``planner split``: two halves of a search log, one to learn from and one to test on, families whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.printing import percent, print_json, print_table

__all__ = ["split"]


def split(
    log: Annotated[Path, typer.Argument(help="A search log.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="A folder that is new or empty.")
    ],
    share: Annotated[
        float, typer.Option(metavar="S", help="Of the problems, in FOLDER/train; in (0, 1).")
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Split a search log into FOLDER/train and FOLDER/test; no family is in both."""
    import polars as pl

    from search.log.split import TEST, TRAIN, split_log
    from search.log.store import SearchLog
    from search.log.tables import TABLES

    halves = dict(
        zip((TRAIN, TEST), split_log(SearchLog.open(log), output, share=share, seed=seed), strict=True)
    )
    rows = {name: {table: half.rows(table) for table in TABLES} for name, half in halves.items()}
    families = {
        name: int(half.scan("problems").select(pl.col("family").n_unique()).collect().item())
        for name, half in halves.items()
    }
    if as_json:
        told = {
            name: {"log": str(half.path), "families": families[name], "rows": rows[name]}
            for name, half in halves.items()
        }
        print_json({"share": share, "seed": seed, "halves": told})
        return
    total = sum(counts["problems"] for counts in rows.values())
    print_table(
        str(output),
        ["log", "families", "problems", "share %", "samples", "scores", "runs", "outcomes"],
        [
            (
                name,
                f"{families[name]:,}",
                f"{counts['problems']:,}",
                percent(counts["problems"] / total),
                *(f"{counts[table]:,}" for table in ("samples", "scores", "runs", "outcomes")),
            )
            for name, counts in rows.items()
        ],
        notes=[
            f"Next: planner fit {output / TRAIN} -o MODEL",
            f"Then: planner evaluate {output / TEST} --planner MODEL --training {output / TRAIN}",
        ],
    )
