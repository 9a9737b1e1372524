"""The planner's own figures: compute of others at equal accuracy, the gap closed, expected against actual."""

from __future__ import annotations

import math

from planner.evaluation.evaluation import Evaluation
from planner.report.findings import Measure
from planner.report.words import method

__all__ = ["measures"]


def measures(evaluation: Evaluation) -> tuple[Measure, ...]:
    """All that the evaluation holds; what it could not measure is left out."""
    return tuple(
        one
        for one in (*_multiples(evaluation), *_cells(evaluation), *_others(evaluation))
        if one.value is None or math.isfinite(one.value)
    )


def _multiples(evaluation: Evaluation) -> list[Measure]:
    out = []
    for name, one in evaluation.multiples.items():
        if name == "control":
            out.append(Measure("majority over itself (a control: must be 1)", one.value, "times"))
            continue
        what = f"{method(name)} at its best ({100 * one.accuracy:.1f}%): its compute over the planner's"
        if one.reached:
            out.append(Measure(what, one.value, "times", _finite(one.low), _finite(one.high)))
        else:
            out.append(Measure(what, None, "times"))
    return out


def _cells(evaluation: Evaluation) -> list[Measure]:
    out = []
    for cell in evaluation.headline:
        pair = f"{cell.policy} with {cell.prm or 'no PRM'}"
        out.append(
            Measure(
                f"{pair}: gain over one greedy answer",
                cell.gain_over_cot_percent,
                "%",
                _finite(cell.gain_low),
                _finite(cell.gain_high),
            )
        )
        out.append(
            Measure(
                f"{pair}: a majority vote's compute over the planner's",
                cell.multiple_over_majority,
                "times",
                _finite(cell.low),
                _finite(cell.high),
                cell.censored,
            )
        )
    if len(evaluation.headline) > 1:
        mean = evaluation.headline_mean
        out.append(
            Measure(
                "geometric mean of these multiples over policies and PRMs",
                mean["value"],
                "times",
                _finite(mean["low"]),
                _finite(mean["high"]),
                any(cell.censored for cell in evaluation.headline),
            )
        )
    return out


def _others(evaluation: Evaluation) -> list[Measure]:
    gap, held = evaluation.gap_closed, evaluation.calibration
    out = [
        Measure(
            "share of the gap closed between best fixed plan and oracle",
            100 * gap["value"],
            "%",
            _finite(100 * gap["low"]),
            _finite(100 * gap["high"]),
        )
    ]
    if "gap_points" in gap:
        out.append(Measure("that gap, mean over the budgets", gap["gap_points"], "points"))
    for name, what in (
        ("ece", "expected calibration error of expected accuracies"),
        ("brier", "Brier score of expected accuracies"),
        ("resolution", "resolution of expected accuracies"),
    ):
        low, high = held.get(f"{name}_low"), held.get(f"{name}_high")
        out.append(Measure(what, held[name], "", low, high))
    out.append(Measure("mean budgets missed by", evaluation.budget_error_percent, "%"))
    for name, what in (("p50", "a decision, median"), ("p99", "a decision, 99% quantile")):
        out.append(Measure(what, evaluation.decision_ms[name], "ms"))
    return out


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
