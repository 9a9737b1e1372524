"""``planner evaluate``: accuracy against compute, the planner beside every baseline."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.likeness import warnings_of, warnings_of_both
from planner.cli.printing import error_console, percent, print_json, print_table
from planner.cli.recommend import PlannerFolder, planner_folder

if TYPE_CHECKING:
    from planner.evaluation.evaluation import Evaluation, Point

__all__ = ["evaluate", "print_evaluation", "print_measures"]

#: what a method is called in tables
_NAMES = {
    "planner": "planner",
    "majority": "majority",
    "best_of_n": "best-of-n",
    "best_fixed": "best fixed",
    "mixture": "best two",
    "bin_absolute_predicted": "bins by guess",
    "bin_quantile_predicted": "  quantiles",
    "adaptive_consistency": "adaptive",
    "early_stopping": "windows",
    "probe_rule": "unanimity",
    "knn": "neighbours",
    "random": "chance",
    "bin_absolute": "bins, known",
    "bin_quantile": "  quantiles",
    "oracle": "oracle",
    "oracle_steady": "  steady",
}

#: decisions that are timed
_TIMED = 400


def evaluate(
    log: Annotated[Path, typer.Argument(help="A search log of problems that the planner has not seen.")],
    planner: PlannerFolder = None,
    training: Annotated[
        Path | None,
        typer.Option(metavar="LOG", help="The log that baselines pick on; default: folds of LOG."),
    ] = None,
    budgets: Annotated[
        str, typer.Option(metavar="B,...", help="Mean budgets, in samples of the main policy.")
    ] = "4,16,64,256",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    clustered: Annotated[
        bool, typer.Option("--clustered", help="Intervals draw families of problems, not problems.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a planner with every baseline at equal mean compute."""
    multiples = _budgets(budgets)
    from planner.evaluation.evaluate import evaluate as compare
    from planner.planner import Planner
    from planner.training_data import read_training_data
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
        read = [read_training_data(one, *models) for one, models in zip(logs, known, strict=True)]
        found = compare(
            decider,
            read[0],
            training=read[1] if len(read) > 1 else None,
            budgets=multiples,
            seed=seed,
            clustered=clustered,
            timed=_TIMED,
        )
    alike = warnings_of(logs[0]) if len(logs) == 1 else warnings_of_both(*logs)
    found = replace(found, notes=(*found.notes, *alike))
    if as_json:
        print_json(found.to_json())
    else:
        print_evaluation(found)
        print_measures(found)


def print_evaluation(found: Evaluation) -> None:
    """One row per method; at each mean budget its accuracy and how far the planner is above it."""
    there = dict.fromkeys(name for row in found.budgets for name in row.methods)
    methods = [name for name in dict.fromkeys((*_NAMES, *there)) if name in there]
    columns = ["samples:"]
    for row in found.budgets:
        columns += [row.name.removesuffix(" samples"), "planner\nabove"]
    rows = [
        [
            _NAMES.get(name, name.replace("_", " ")),
            *(cell for row in found.budgets for cell in _cells(name, row.methods.get(name))),
        ]
        for name in methods
    ]
    detectable = ", ".join(percent(row.detectable) for row in found.budgets)
    print_table(
        "Accuracy (%) at equal mean FLOPs, those of so many samples; "
        f"{found.problems} problems of {found.families} families",
        columns,
        rows,
        notes=[
            "Planner above: points, with half of the 95% interval of the difference, paired by problem.",
            f"Differences to the best two that this many problems would show: {detectable} points.",
            "All pick on other problems; probes, PRMs and deciding are charged. Majority, best-of-n: their",
            "best n. Best two: two fixed plans, mixed to the budget. Bins by guess: by Pass@1 as questions",
            "tell it. Adaptive: samples until the vote is sure. Windows: until some in a row agree.",
            "Unanimity: draws 4; if all agree stops, else votes over more or takes the best of more.",
            "Neighbours: what was best on similar questions. Not to be deployed: known bins (Pass@1, told",
            "for nothing), the oracle (knows each problem by half of its samples; steady: less by luck).",
            *found.notes,
        ],
        emphasised=[0],
    )


def print_measures(found: Evaluation) -> None:
    """Compute at equal accuracy, the headline figures, the gap, and expected against actual values."""
    print_table(
        "Compute: how many times the planner's the others need at their best accuracy",
        ["", "accuracy %", "times the compute", "[95%]"],
        [
            (
                "majority over itself" if name == "control" else _NAMES[name],
                percent(one.accuracy),
                f"{one.value:.1f}" if one.reached else "not reached",
                f"[{one.low:.1f},{one.high:.1f}]",
            )
            for name, one in found.multiples.items()
        ],
    )
    if found.headline:
        mean = found.headline_mean
        print_table(
            "Per policy and PRM",
            ["policy", "PRM", "gain over greedy %", "[95%]", "times majority's", "[95%]"],
            [
                (
                    one.policy,
                    one.prm or "-",
                    *_gain(one.gain_over_cot_percent, one.gain_low, one.gain_high),
                    f"{'> ' if one.censored else ''}{one.multiple_over_majority:.1f}",
                    f"[{one.low:.1f},{one.high:.1f}]",
                )
                for one in found.headline
            ],
            left=2,
            notes=[
                f"Geometric mean of the multiples: {_of(mean, 'value', 1.0)}.",
                *found.definitions,
            ],
        )
    rows = [
        ("share of the gap from best fixed to oracle closed", _of(found.gap_closed, "value", 100.0), "%"),
        ("the same, the oracle less by luck", _of(found.gap_closed_steady, "value", 100.0), "%"),
        ("those gaps, mean over the budgets", _gaps(found), "points"),
        ("calibration error of choices made", _number(100 * found.calibration["ece"]), "points"),
        ("Brier score", f"{found.calibration['brier']:.3f}", ""),
        ("resolution", f"{found.calibration['resolution']:.3f}", ""),
        ("mean budgets missed over a stream by", _number(found.budget_error_percent), "%"),
        ("the same, price as from training", _number(found.budget_error_untended_percent), "%"),
        ("a decision, median", f"{found.decision_ms['p50']:.2f}", "ms"),
        ("a decision, 99% quantile", f"{found.decision_ms['p99']:.2f}", "ms"),
    ]
    print_table("The planner's own figures", ["figure", "value", "unit"], rows)


def _of(value: dict[str, float], name: str, scale: float) -> str:
    """A figure with its interval."""
    middle, low, high = (scale * value[key] for key in (name, "low", "high"))
    return "-" if math.isnan(middle) else f"{middle:.1f} [{low:.1f},{high:.1f}]"


def _gain(value: float, low: float, high: float) -> tuple[str, str]:
    """A gain with its interval; nothing where no greedy answer was logged."""
    return ("-", "-") if math.isnan(value) else (f"{value:+.1f}", f"[{low:.1f},{high:.1f}]")


def _gaps(found: Evaluation) -> str:
    return f"{found.gap_closed['gap_points']:.1f}, {found.gap_closed_steady['gap_points']:.1f}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _cells(name: str, point: Point | None) -> tuple[str, str]:
    if point is None:
        return ("-", "-")
    if name == "planner":
        return (percent(point.accuracy), "")
    half = 50 * (point.above_high - point.above_low)
    return (percent(point.accuracy), f"{100 * point.planner_above:+.1f} ±{half:.1f}")


def _budgets(text: str) -> tuple[float, ...]:
    """``4,16,64`` as numbers above 0."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"budgets are numbers parted by commas, got {text!r}") from error
    if not all(0.0 < value < float("inf") for value in values):
        raise typer.BadParameter(f"budgets are above 0, got {text!r}")
    if len(set(values)) != len(values):
        raise typer.BadParameter(f"budgets are given once, got {text!r}")
    return values
