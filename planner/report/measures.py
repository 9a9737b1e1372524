"""The planner's own figures: compute of others at equal accuracy, the gap closed, expected against actual."""

from __future__ import annotations

import math

import numpy as np

from planner.evaluation.evaluation import Evaluation
from planner.evaluation.folds.deferral import aiq
from planner.report.findings import Measure
from planner.report.words import method

__all__ = ["measures"]

#: whose average improvement in quality is told
_IMPROVING = ("planner", "mixture", "static_ceiling")


def measures(evaluation: Evaluation) -> tuple[Measure, ...]:
    """All that the evaluation holds; what it could not measure is left out."""
    return tuple(
        one
        for one in (
            *_multiples(evaluation),
            *_improvement(evaluation),
            *_cells(evaluation),
            *_others(evaluation),
        )
        if one.value is None or math.isfinite(one.value)
    )


def _multiples(evaluation: Evaluation) -> list[Measure]:
    out = []
    for name, one in evaluation.multiples.items():
        if name == "control":
            out.append(Measure("majority over itself (a control: must be 1)", one.value, "times"))
            continue
        what = f"{method(name)} at its best ({100 * one.accuracy:z.1f}%): its compute over the planner's"
        if one.reached:
            out.append(
                Measure(
                    what=what, value=one.value, unit="times", low=_finite(one.low), high=_finite(one.high)
                )
            )
        else:
            out.append(Measure(what, None, "times"))
    return out


def _improvement(evaluation: Evaluation) -> list[Measure]:
    """The average improvement in quality of the planner, the best two fixed plans and the static ceiling."""
    costs = [curve.flops[0] for curve in evaluation.fixed]
    curves = {curve.name: curve for curve in evaluation.curves}
    if not costs:
        return []
    return [
        Measure(
            f"AIQ of {method(name)}: mean accuracy over costs from the cheapest to the dearest plan",
            100.0
            * aiq(np.asarray(curves[name].flops), np.asarray(curves[name].accuracy), min(costs), max(costs)),
            "%",
        )
        for name in _IMPROVING
        if name in curves
    ]


def _cells(evaluation: Evaluation) -> list[Measure]:
    out = []
    for cell in evaluation.headline:
        pair = f"{cell.policy} with {cell.prm or 'no PRM'}"
        out.append(
            Measure(
                what=f"{pair}: gain over one greedy answer",
                value=cell.gain_over_cot_percent,
                unit="%",
                low=_finite(cell.gain_low),
                high=_finite(cell.gain_high),
            )
        )
        out.append(
            Measure(
                what=f"{pair}: a majority vote's compute over the planner's",
                value=cell.multiple_over_majority,
                unit="times",
                low=_finite(cell.low),
                high=_finite(cell.high),
                at_least=cell.censored,
            )
        )
    if len(evaluation.headline) > 1:
        mean = evaluation.headline_mean
        out.append(
            Measure(
                what="geometric mean of these multiples over policies and PRMs",
                value=mean["value"],
                unit="times",
                low=_finite(mean["low"]),
                high=_finite(mean["high"]),
                at_least=any(cell.censored for cell in evaluation.headline),
            )
        )
    return out


def _others(evaluation: Evaluation) -> list[Measure]:
    gap, held = evaluation.gap_closed, evaluation.calibration
    out = [
        Measure(
            what="share of the gap closed between best fixed plan and oracle",
            value=100 * gap["value"],
            unit="%",
            low=_finite(100 * gap["low"]),
            high=_finite(100 * gap["high"]),
        )
    ]
    if "gap_points" in gap:
        out.append(
            Measure(
                "gap between best fixed plan and oracle, mean over the budgets", gap["gap_points"], "points"
            )
        )
    for name, what in (
        ("ece", "expected calibration error of expected accuracies"),
        ("brier", "Brier score of expected accuracies"),
        ("resolution", "resolution of expected accuracies"),
    ):
        low, high = held.get(f"{name}_low"), held.get(f"{name}_high")
        out.append(Measure(what=what, value=held[name], unit="", low=low, high=high))
    out.append(Measure("mean budgets missed by, on average", evaluation.budget_error_percent, "%"))
    for name, what in (("p50", "a decision, median"), ("p99", "a decision, 99% quantile")):
        out.append(Measure(what, evaluation.decision_ms[name], "ms"))
    return out


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
