"""``planner evaluate``: accuracy against compute, the planner beside every baseline."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.learning.comparison import method_name, print_comparison
from planner.cli.learning.cross_validation import More, cross_validated
from planner.cli.learning.likeness import warnings_of, warnings_of_both
from planner.cli.printing import error_console, percent, print_json, print_table
from planner.cli.recommend import PlannerFolder, planner_folder

if TYPE_CHECKING:
    from planner.evaluation.evaluation import Evaluation

__all__ = ["evaluate", "print_measures"]

#: decisions that are timed
_TIMED = 400

#: of a cross-validation
_FOLDS, _TRIALS = 5, 20


def evaluate(
    log: Annotated[Path, typer.Argument(help="A search log of problems that the planner has not seen.")],
    planner: PlannerFolder = None,
    training: Annotated[
        Path | None,
        typer.Option(metavar="LOG", help="The log that baselines pick on; default: folds of LOG."),
    ] = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="B,...",
            help="Mean budgets, in samples of the main policy. Default: four over LOG's own range; "
            "with --cross-validate six.",
            show_default=False,
        ),
    ] = None,
    cross_validate: Annotated[
        bool,
        typer.Option(
            "--cross-validate",
            help="Judge fitting itself: a planner per fold of families, fitted on the rest of LOG.",
        ),
    ] = False,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Of --cross-validate. Default: 5.", show_default=False)
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Optuna trials per fold of --cross-validate; 0 takes the default settings. Default: 20.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="With --cross-validate: repeat it with so many seeds, for the luck of fitting.",
            show_default=False,
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option(
            "--curves", help="With --cross-validate: deferral curves, AIQ and quality-neutral costs."
        ),
    ] = False,
    learning_curve: Annotated[
        str | None,
        typer.Option(
            metavar="N,...",
            help="With --cross-validate: repeat it with at most so many problems to learn from, such as "
            "60,100,300,1000.",
            show_default=False,
        ),
    ] = None,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls",
            help="With --cross-validate: repeat it with questions, logprobs and PRM scores shuffled.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    clustered: Annotated[
        bool, typer.Option("--clustered", help="Intervals draw families of problems, not problems.")
    ] = False,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A models file: the numbers of weights that it tells count in the place of the log's.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every method, and how far the planner is above it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a planner with every baseline at equal mean compute."""
    asked = None if budgets is None else _budgets(budgets)
    if cross_validate:
        _alone(planner, training)
        cross_validated(
            log,
            budgets=asked,
            folds=_FOLDS if folds is None else folds,
            trials=_TRIALS if trials is None else trials,
            seed=seed,
            models=models,
            everything=everything,
            as_json=as_json,
            more=More(
                seeds=1 if seeds is None else seeds,
                curves=curves,
                controls=controls,
                sizes=() if learning_curve is None else _sizes(learning_curve),
            ),
        )
        return
    _unasked(
        folds=folds,
        trials=trials,
        seeds=seeds,
        curves=curves or None,
        learning_curve=learning_curve,
        controls=controls or None,
    )
    from planner.evaluation.evaluate import evaluate as compare
    from planner.evidence.training_data import read_training_data
    from planner.planner import Planner
    from search.log.store import SearchLog
    from search.models_file import ModelsFile

    told = None if models is None else ModelsFile.read(models)
    logs = [SearchLog.open(path) for path in (log, training) if path is not None]
    decider = Planner.load(planner_folder(planner))
    known = [decider.logged(one.manifest) for one in logs]
    with error_console().status("comparing with the baselines"):
        read = [
            read_training_data(one, policies if told is None else told.known(policies), prms)
            for one, (policies, prms) in zip(logs, known, strict=True)
        ]
        found = compare(
            decider,
            read[0],
            training=read[1] if len(read) > 1 else None,
            budgets=asked,
            seed=seed,
            clustered=clustered,
            timed=_TIMED,
        )
    alike = warnings_of(logs[0]) if len(logs) == 1 else warnings_of_both(*logs)
    if as_json:
        # a reader of the table has met these on standard error
        print_json(replace(found, notes=(*found.notes, *alike)).to_json())
    else:
        print_comparison(found, everything=everything)
        print_measures(found)


def print_measures(found: Evaluation) -> None:
    """Compute at equal accuracy, the headline figures, the gap, and expected against actual values."""
    print_table(
        "Compute: how many times the planner's the others need at their best accuracy",
        ["", "accuracy %", "times", "[95%]", "a point below: times", "[95%]"],
        [
            (
                "majority over itself" if name == "control" else method_name(name),
                percent(one.accuracy),
                *_times(one.value, one.low, one.high),
                *_times(one.below, one.below_low, one.below_high),
            )
            for name, one in found.multiples.items()
        ],
        notes=[
            "Best two: the best mixture of two fixed plans, which anybody can have without a planner.",
            "The end of a curve is flat and makes large multiples, so the same is shown a point below it.",
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
                    f"{'> ' if one.censored else ''}{one.multiple_over_majority:z.1f}",
                    f"[{one.low:z.1f},{one.high:z.1f}]",
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
        ("a decision, median", _number(found.decision_ms["p50"], 2), "ms"),
        ("a decision, 99% quantile", _number(found.decision_ms["p99"], 2), "ms"),
    ]
    print_table(
        "The planner's own figures",
        ["figure", "value", "unit"],
        rows,
        notes=[f"Empty: {why}." for why in dict.fromkeys(found.empty.values())],
    )


def _unasked(**given: object) -> None:
    """Raises BadParameter for what only a cross-validation knows."""
    for name, value in given.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            got = flag if value is True else str(value)
            raise typer.BadParameter(f"{flag} belongs to --cross-validate, got {got} without it")


def _sizes(text: str) -> tuple[int, ...]:
    """``60,100`` as whole numbers; that they are above 0 and differ is the learning curve's rule."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"sizes are whole numbers parted by commas, got {text!r}") from error


def _alone(planner: str | None, training: Path | None) -> None:
    """Raises BadParameter for what a cross-validation makes itself."""
    for name, value in (("planner", planner), ("training", training)):
        if value is not None:
            raise typer.BadParameter(
                f"--cross-validate learns everything from LOG itself, got --{name} {str(value)!r}"
            )


def _of(value: dict[str, float], name: str, scale: float) -> str:
    """A share (scale 100) or a multiple with its interval; withheld where that says nothing."""
    from planner.evaluation.intervals import says_something

    middle, low, high = (scale * value[key] for key in (name, "low", "high"))
    if math.isnan(middle):
        return ""
    told = f"{middle:z.1f}" if says_something(low, high, "%" if scale == 100.0 else "times") else "withheld"
    return f"{told} [{low:z.1f},{high:z.1f}]"


def _times(value: float, low: float, high: float) -> tuple[str, str]:
    """A multiple with its interval; 0 is never reached."""
    return (f"{value:z.1f}", f"[{low:z.1f},{high:z.1f}]") if value > 0.0 else ("not reached", "")


def _gain(value: float, low: float, high: float) -> tuple[str, str]:
    """A gain with its interval; nothing where no greedy answer was logged."""
    return ("", "") if math.isnan(value) else (f"{value:+z.1f}", f"[{low:z.1f},{high:z.1f}]")


def _gaps(found: Evaluation) -> str:
    gaps = (found.gap_closed["gap_points"], found.gap_closed_steady["gap_points"])
    return ", ".join(filter(None, map(_number, gaps)))


def _number(value: float, digits: int = 1) -> str:
    """Nothing where the figure is empty: a note under the table says why."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


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
