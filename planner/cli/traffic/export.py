"""``planner export``: a search log from the decisions of a server that have feedback, for refitting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from search.importing.report import Report

__all__ = ["export"]


def export(
    decisions: Annotated[
        str, typer.Argument(help="A decision log of planner serve: a file or postgresql://...")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="LOG", help="The search log: a folder.")],
    model: Annotated[
        str | None,
        typer.Option("--planner", metavar="MODEL", help="The planner that served. Default: the shipped one."),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="FILE", help="The models file, where rules served (no --planner)."),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="How the server's samples were drawn.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="How the server's samples were drawn.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a search log from decisions with feedback; say what was left out and why."""
    from planner.cli.recommend import decider_of
    from search.engines.protocol import Sampling

    try:
        sampling = Sampling(temperature, top_p)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    from search.errors import MissingExtraError

    try:
        from planner.server.decisions.export import Decisions
        from planner.server.decisions.export import export as write
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"planner export needs {error.name}: pip install 'test-time-planner[serve]'"
        ) from error

    served = decider_of(model, models)
    report = write(
        Decisions(decisions, served.policies, served.prms, sampling), output, promptings=served.promptings
    )
    if as_json:
        print_json({"log": str(output), **report.to_json()})
        return
    _print(report, output)


def _print(report: Report, output: Path) -> None:
    print_table(
        f"Search log {output}, from decisions with feedback",
        ["taken", "rows"],
        [(name, f"{report.taken[name]:,}") for name in ("problems", "samples", "scores", "runs")],
        notes=[] if report.left_out else ["Nothing was left out."],
    )
    if report.left_out:
        print_table(
            "Left out",
            ["what is taken", "first that is not", "times"],
            [(why, entry.first, f"{entry.count:,}") for why, entry in report.left_out.items()],
            left=2,
        )
    for note in (*report.notes, f"Next: planner fit {output} -o MODEL"):
        typer.echo(f"- {note}")
