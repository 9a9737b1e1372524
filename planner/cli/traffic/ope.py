"""``planner ope``: what a planner that was never live would have met, from logged decisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import number, percent, print_json, print_table
from planner.cli.recommend import planner_folder

if TYPE_CHECKING:
    from planner.traffic.estimates import Estimate
    from planner.traffic.ope import OpeReport

__all__ = ["DecisionsPath", "FeedbackFile", "LeastPrice", "SourceOptions", "ope", "print_estimates"]

DecisionsPath = Annotated[
    str, typer.Argument(help="A decision log of planner serve: a file or postgresql://...")
]
SourceOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="KEY=KIND",
        help="Who sends feedback with the API key KEY: user, program or judge, then :SENSITIVITY:SPECIFICITY "
        "where they are known; may be repeated. Default: users.",
    ),
]
FeedbackFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="More feedback: JSON lines with decision_id, correct and source."),
]
LeastPrice = Annotated[
    float, typer.Option(min=0.0, help="The server's setting price, if it had one (accuracy per FLOP).")
]


def ope(
    decisions: DecisionsPath,
    planner: Annotated[str, typer.Option(metavar="NEW", help="A planner that was not fitted on DECISIONS.")],
    source: SourceOptions = None,
    feedback: FeedbackFile = None,
    price: LeastPrice = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate the share right and the cost of a planner that was never live."""
    from planner.traffic.run import evaluate_log

    report = evaluate_log(
        decisions, planner_folder(planner), sources=source or [], feedback=feedback, least_price=price
    )
    if as_json:
        print_json({"planner": planner, **report.to_json()})
        return
    print_estimates(planner, report)


def print_estimates(planner: str, report: OpeReport) -> None:
    """The table of a report, or the line that says why there is none."""
    notes = [*report.notes, *(f"left out {count:,}: {why}" for why, count in report.left_out.items())]
    low, high = report.bounds
    notes.append(
        f"were all unknown outcomes wrong, or all right, the served share would be {percent(low)} "
        f"to {percent(high)} %"
    )
    if report.refused:
        typer.echo(report.refused)
    rows = []
    if report.value is not None:
        value = report.value
        rows += [
            ("share right %", "doubly robust", *_percents(value.doubly_robust), number(value.effective)),
            ("", "SNIPS", *_percents(value.snips), number(value.effective)),
            ("", "served", *_percents(value.served), ""),
            ("points over served", "doubly robust", *_percents(value.difference), number(value.effective)),
        ]
    for name, cost, scale in (("tokens", report.tokens, 1.0), ("MFLOPs", report.flops, 1e-6)):
        if cost is not None:
            rows += [
                (name, "doubly robust", *_numbers(cost.doubly_robust, scale), number(cost.effective)),
                ("", "SNIPS", *_numbers(cost.snips, scale), number(cost.effective)),
                ("", "served", *_numbers(cost.served, scale), ""),
            ]
    if rows:
        print_table(
            f"{planner} on {report.decisions:,} decisions, {report.known:,} with feedback",
            ["mean of", "estimate", "value", "low", "high", "effective size"],
            rows,
            left=2,
            notes=[
                f"weights are clipped at {report.clip:.3g}, the square root of the decisions "
                f"({percent(report.clipped)} % were above); "
                "the reward model is the planner's own expectation, recalibrated on other questions",
                *notes,
            ],
        )
        return
    for note in notes:
        typer.echo(f"- {note}")


def _percents(found: Estimate) -> tuple[str, str, str]:
    return percent(found.value), percent(found.low), percent(found.high)


def _numbers(found: Estimate, scale: float) -> tuple[str, str, str]:
    return number(found.value * scale, 1), number(found.low * scale, 1), number(found.high * scale, 1)
