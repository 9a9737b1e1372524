"""``planner bins``: accuracy, reward and cost per policy x PRM x difficulty bin x plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import brief, percent, print_json, print_table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["bins", "print_bins"]


def bins(
    log: Annotated[Path, typer.Argument(help="A search log.")],
    thresholds: Annotated[
        str, typer.Option(metavar="T,...", help="Pass@1 at which an easier bin begins, falling.")
    ] = "0.5,0.1",
    quantiles: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="K bins of equal size instead, to compare with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which plan is best where: per policy, PRM and difficulty bin."""
    limits = _thresholds(thresholds)
    from search.log.bins import bins as bins_of
    from search.log.bins import usual_pools
    from search.log.store import SearchLog

    opened = SearchLog.open(log)
    found = bins_of(opened, limits, quantiles)
    if as_json:
        print_json(found.to_dicts())
        return
    print_bins(found)
    for policy, usual in usual_pools(opened).items():
        if usual.fewer:
            typer.echo(
                f"- {policy}: {usual.fewer:,} of {usual.problems:,} problems have fewer than {usual.size} "
                "samples; bins leave out those that the largest n does not fit into"
            )
        if usual.size == 1:
            typer.echo(f"- {policy}: one sample a problem says nothing of difficulty; all are one bin")


def print_bins(found: pl.DataFrame) -> None:
    """One table per policy x PRM; the best plan of each bin is bold."""
    for (policy, prm), cells in found.group_by("policy", "prm", maintain_order=True):
        rows = list(cells.iter_rows(named=True))
        print_table(
            f"{policy} x {prm or 'no PRM'}",
            ["bin", "plan", "problems", "accuracy %", "+-", "reward", "tokens", "MFLOPs"],
            [
                (
                    row["bin"],
                    brief(row["plan"]),
                    str(row["problems"]),
                    percent(row["accuracy"]),
                    percent(row["accuracy_se"]),
                    "-" if row["reward"] is None else f"{row['reward']:.3f}",
                    f"{row['tokens']:,.0f}",
                    f"{row['flops'] / 1e6:,.1f}",
                )
                for row in rows
            ],
            left=2,
            notes=[
                "Bins: by Pass@1, the share of the policy's samples that are right, counted on one half of "
                "them; plans are scored on the other half. Tokens, MFLOPs: of a problem, on average.",
                "Bold: the most accurate plan of its bin, the cheaper of equals. "
                "+-: standard error, in points.",
            ],
            emphasised=[place for place, row in enumerate(rows) if row["best"]],
        )


def _thresholds(text: str) -> tuple[float, ...]:
    """``0.5,0.1`` as numbers. Falling, between 0 and 1."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"thresholds are numbers parted by commas, got {text!r}") from error
    if any(not 0.0 < value < 1.0 for value in values) or list(values) != sorted(set(values), reverse=True):
        raise typer.BadParameter(f"thresholds fall and lie between 0 and 1, got {text!r}")
    return values
