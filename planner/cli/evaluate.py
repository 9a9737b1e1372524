"""``planner evaluate``: accuracy against compute, the planner beside every baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import error_console, percent, print_json, print_table
from planner.cli.recommend import PlannerFolder, planner_folder

if TYPE_CHECKING:
    from planner.evaluation.evaluate import Evaluation, Point

__all__ = ["evaluate", "print_evaluation"]

#: what a method is called in tables
_NAMES = {
    "planner": "planner",
    "majority": "majority",
    "best_of_n": "best-of-n",
    "best_fixed": "best fixed",
    "mixture": "best two",
    "bin_absolute": "absolute bins",
    "bin_quantile": "quantile bins",
    "probe_rule": "unanimity",
    "oracle": "oracle",
}


def evaluate(
    log: Annotated[Path, typer.Argument(help="A search log of problems that the planner has not seen.")],
    planner: PlannerFolder = None,
    training: Annotated[
        Path | None,
        typer.Option(metavar="LOG", help="The log that baselines pick on; default: folds of LOG."),
    ] = None,
    budgets: Annotated[
        str, typer.Option(metavar="B,...", help="Mean budgets, in samples of the main policy.")
    ] = "4,16,64",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a planner with every baseline at equal mean compute."""
    multiples = _budgets(budgets)
    from planner.evaluation.evaluate import evaluate as compare
    from planner.experience import read_experience
    from planner.planner import Planner
    from search.log.store import SearchLog

    logs = [SearchLog.open(path) for path in (log, training) if path is not None]
    decider = Planner.load(planner_folder(planner))
    # a log may hold models beside the planner's: those are not compared
    known = [
        (
            {name: card for name, card in one.manifest.policies.items() if name in decider.policies},
            {name: card for name, card in one.manifest.prms.items() if name in decider.prms},
        )
        for one in logs
    ]
    for policies, prms in known:
        decider.check([*policies.values(), *prms.values()])
    with error_console().status("comparing with the baselines"):
        read = [read_experience(one, *models) for one, models in zip(logs, known, strict=True)]
        found = compare(
            decider, read[0], training=read[1] if len(read) > 1 else None, budgets=multiples, seed=seed
        )
    if as_json:
        print_json(found.to_json())
    else:
        print_evaluation(found)


def print_evaluation(found: Evaluation) -> None:
    """One row per method; at each mean budget its accuracy and how far the planner is above it."""
    methods = [name for name in _NAMES if any(name in row.methods for row in found.budgets)]
    columns = ["budget:"]
    for row in found.budgets:
        columns += [row.name.replace(" ", "\n"), "planner above\n[95%]"]
    rows = [
        [
            _NAMES[name],
            *(cell for row in found.budgets for cell in _cells(name, row.methods.get(name))),
        ]
        for name in methods
    ]
    detectable = ", ".join(percent(row.detectable) for row in found.budgets)
    print_table(
        f"Accuracy (%) at equal mean FLOPs, {found.problems} problems of {found.families} families",
        columns,
        rows,
        notes=[
            "All pick on other problems; probes and PRMs are charged. Majority and best-of-n: their best n.",
            "Best two: two fixed plans, mixed to the budget. Bins: by Pass@1, known to them for nothing.",
            "Unanimity: draw 4; if all agree stop, else vote over more. Oracle: knows each problem.",
            f"Differences to the best two that this many problems would show: {detectable} points.",
            *found.notes,
        ],
        emphasised=[0],
    )


def _cells(name: str, point: Point | None) -> tuple[str, str]:
    if point is None:
        return ("-", "-")
    if name == "planner":
        return (percent(point.accuracy), "")
    low, high = (_short(100 * bound) for bound in (point.above_low, point.above_high))
    return (percent(point.accuracy), f"{100 * point.planner_above:+.1f} [{low},{high}]")


def _short(points: float) -> str:
    """A bound in at most four characters, so that the table fits into a hundred columns."""
    return f"{points:.1f}" if abs(points) < 9.95 else f"{points:.0f}"


def _budgets(text: str) -> tuple[float, ...]:
    """``4,16,64`` as numbers above 0."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"budgets are numbers parted by commas, got {text!r}") from error
    if not all(0.0 < value < float("inf") for value in values):
        raise typer.BadParameter(f"budgets are above 0, got {text!r}")
    return values
