"""``planner report``: one page to look at, and its charts for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.printing import error_console, output_console
from planner.cli.recommend import PlannerFolder, planner_folder

__all__ = ["report"]


def report(
    log: Annotated[Path, typer.Argument(help="A search log of problems that the planner has not seen.")],
    planner: PlannerFolder = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The page: one HTML file.")
    ] = Path("report.html"),
    training: Annotated[
        Path | None,
        typer.Option(metavar="LOG", help="The log that baselines pick on; default: folds of LOG."),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the charts here too, as PNG and SVG.")
    ] = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="B,...",
            help="Mean budgets, in samples of the main policy. Default: four over LOG's own range.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    clustered: Annotated[
        bool, typer.Option("--clustered", help="Intervals draw families of problems, not problems.")
    ] = False,
) -> None:
    """Make a page of pictures: what a planner does on a log, beside every baseline. It opens offline."""
    amounts = None if budgets is None else _amounts(budgets)
    from planner.report.write import check_target, write_report

    # before minutes of work
    check_target(output, figures)
    with error_console().status("comparing with the baselines"):
        from planner.report.make import make

        found = make(log, planner_folder(planner), training, budgets=amounts, seed=seed, clustered=clustered)
    with error_console().status("drawing"):
        written = write_report(found, output, figures)
    output_console().print(found.header.headline, markup=False)
    more = f" and {len(written) - 1} figures in {figures}" if figures is not None else ""
    output_console().print(f"Look: {output}{more}", markup=False)


def _amounts(text: str) -> tuple[float, ...]:
    """``4,16,64`` as numbers; that they are above 0 and differ is the evaluation's rule."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"budgets are numbers parted by commas, got {text!r}") from error
