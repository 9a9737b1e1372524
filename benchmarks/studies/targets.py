"""The table of targets: what was asked of the planner's decisions, what was reached, and whether that is
enough.

It reads figures in the form of ``Evaluation.to_json`` and of the other trials, and computes none of its own
but means over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["averaged", "targets"]

_Figures = Mapping[str, Any]

_OFF = "flops_error_percent"

#: rival -> how many times less compute the planner should need; None: told, not asked for
_LESS_COMPUTE = {"best_of_n": 4.0, "adaptive_consistency": 2.0, "majority": None, "control": 1.0}


def targets(found: _Figures) -> list[dict[str, Any]]:
    """Rows of ``name``, ``asked``, ``value``, ``low``, ``high``, ``unit`` and ``met`` (None: not asked for).

    Parameters
    ----------
    found:
        ``evaluation`` (one ``Evaluation.to_json()`` per seed), ``cells``, ``parity``, ``live``, ``safety``:
        those that are there. Without ``cells`` the planner of the evaluation stands for every policy and PRM.
    """
    rows = _of_evaluation(found["evaluation"]) if found.get("evaluation") else []
    if "cells" in found:
        rows += _of_cells(found["cells"]["mean"], found["cells"]["cells"])
    elif found.get("evaluation"):
        runs = found["evaluation"]
        rows += _of_cells(averaged(runs, "headline_mean"), [cell for run in runs for cell in run["headline"]])
    if "parity" in found:
        share = found["parity"]["agreed"] / max(found["parity"]["decisions"], 1)
        rows.append(
            _row("replayed and live decisions that agree", "all", {"value": 100 * share}, "%", share == 1.0)
        )
    if "live" in found:
        gap = _times(found["live"]["difference"], 100.0)
        within = gap["low"] <= 0.0 <= gap["high"]
        rows.append(_row("live accuracy less what was expected", "0 in its interval", gap, "points", within))
    rows += _of_promises(found["evaluation"]) if found.get("evaluation") else []
    for told in ("probe", "calibration"):
        tried = [trial for trial in found.get("safety", ()) if trial["told"] == told]
        lows = [paired_comparison["low"] for trial in tried for paired_comparison in trial["duels"]]
        if lows:
            name = f"broken PRM, announced by {told}: worst lower confidence bound against majority"
            safe = all(trial["safe"] for trial in tried)
            rows.append(_row(name, "above -1 point", {"value": 100 * min(lows)}, "points", safe))
    return rows


def averaged(runs: Sequence[_Figures], *path: str, keys: Sequence[str] = ("value", "low", "high")) -> Any:
    """Figures at a path of each run, averaged over the runs; None where any run has none."""
    out: dict[str, float | None] = {}
    for key in keys:
        values = []
        for run in runs:
            for name in path:
                run = run[name]
            values.append(run[key])
        out[key] = None if None in values else sum(values) / len(values)
    return out


def _of_evaluation(runs: Sequence[_Figures]) -> list[dict[str, Any]]:
    gap = _times(averaged(runs, "gap_closed"), 100.0)
    closed = None if gap["value"] is None else gap["value"] >= 60.0 and gap["low"] > 50.0
    steady = _times(averaged(runs, "gap_closed_steady"), 100.0)
    rows = [
        _row("share of the oracle gap closed", "at least 60%, above 50% for sure", gap, "%", closed),
        _row("the same, the oracle less by luck", "", steady, "%", None),
    ]
    for name, asked in _LESS_COMPUTE.items():
        if all(name in run["multiples"] for run in runs):
            many = averaged(runs, "multiples", name)
            met = None if asked is None else many["value"] >= asked
            said = "" if asked is None else f"at least {asked:g} x"
            rows.append(_row(f"compute of {name} over the planner's", said, many, "x", met))
    error = averaged(runs, "calibration", keys=("ece", "ece_low", "ece_high"))
    ends = dict(zip(("value", "low", "high"), error.values(), strict=True))
    rows.append(_row("calibration error", "at most 0.03", ends, "", ends["value"] <= 0.03))
    missed = {"value": averaged(runs, keys=("budget_error_percent",))["budget_error_percent"]}
    kept = None if missed["value"] is None else missed["value"] <= 2.0
    rows.append(_row("mean budgets missed over a stream by", "at most 2%", missed, "%", kept))
    took = runs[0]["decision_ms"]
    for name, key, most in (("median", "p50", 0.5), ("99% quantile", "p99", 2.0)):
        if took[key] is not None:
            rows.append(
                _row(
                    f"a decision, {name}", f"under {most:g} ms", {"value": took[key]}, "ms", took[key] < most
                )
            )
    return rows


def _of_promises(runs: Sequence[_Figures]) -> list[dict[str, Any]]:
    """How far costs and mean accuracies are from what was promised, each averaged over the seeds."""
    rows = []
    off = [abs(averaged(runs, "promises", name, keys=(_OFF,))[_OFF]) for name in runs[0].get("promises", ())]
    if off:
        worst = {"value": max(off)}
        rows.append(
            _row("FLOPs promised are off by, worst budget", "at most 5%", worst, "%", max(off) <= 5.0)
        )
    asked = [[row for row in run.get("target_accuracy", ()) if row["reached"]] for run in runs]
    if all(asked):
        missed = [
            abs(sum(run[at]["value"] for run in asked) / len(asked) - row["asked"])
            for at, row in enumerate(asked[0])
        ]
        most = {"value": 100.0 * max(missed)}
        within = most["value"] <= 2.0
        rows.append(
            _row("target accuracy of a stream missed by, worst", "at most 2 points", most, "points", within)
        )
    return rows


def _of_cells(mean: _Figures, cells: Sequence[_Figures]) -> list[dict[str, Any]]:
    met = mean["value"] is not None and mean["value"] >= 35.0
    rows = [_row("compute of majority, mean over policy x PRM", "at least 35 x", mean, "x", met)]
    least = min((cell["multiple_over_majority"] for cell in cells), default=None)
    if least is not None:
        rows.append(_row("the least of those", "at least 1 x", {"value": least}, "x", least >= 1.0))
    return rows


def _row(name: str, asked: str, reached: _Figures, unit: str, met: bool | None) -> dict[str, Any]:
    numbers = {key: reached.get(key) for key in ("value", "low", "high")}
    return {"name": name, "asked": asked, **numbers, "unit": unit, "met": met}


def _times(figures: _Figures, scale: float) -> dict[str, Any]:
    numbers = {key: figures[key] for key in ("value", "low", "high")}
    return {key: None if value is None else scale * value for key, value in numbers.items()}
