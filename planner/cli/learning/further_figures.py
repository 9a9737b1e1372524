"""What ``planner evaluate --cross-validate`` tells on request beside its verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from planner.cli.printing import percent, print_table

if TYPE_CHECKING:
    from planner.evaluation.folds.deferral import Deferral
    from planner.evaluation.folds.refits import Refits
    from planner.evaluation.folds.verdict import Verdict
    from planner.evaluation.intervals import Interval
    from training.controls import Control
    from training.learning_curve import LearningPoint

__all__ = ["further_to_dict", "print_further"]


def further_to_dict(further: Mapping[str, Any]) -> dict[str, Any]:
    """``refits``, ``deferral``, ``learning_curve`` and ``controls`` as plain values: those that are there."""
    out: dict[str, Any] = {}
    for name, found in further.items():
        if name == "refits":
            out[name] = asdict(found)
        elif name == "deferral":
            out[name] = found.to_json()
        else:
            out[name] = [one.to_json() for one in found]
    return out


def print_further(further: Mapping[str, Any], *, label: Callable[[str], str], unit: str) -> None:
    """Tables of those that are there. ``label`` names a method; ``unit``: the policy of the samples."""
    if "refits" in further:
        _print_refits(further["refits"])
    if "deferral" in further:
        _print_deferral(further["deferral"], label, unit)
    if "learning_curve" in further:
        _print_learning_curve(further["learning_curve"])
    if "controls" in further:
        _print_controls(further["controls"])


def _print_refits(found: Refits) -> None:
    rows = [
        (f"seed {seed}", "" if value is None else f"{100 * value:+z.1f}", "")
        for seed, value in zip(found.seeds, found.per_seed, strict=True)
    ]
    spread = "" if found.spread is None else f"Standard deviation over seeds: {100 * found.spread:z.1f}."
    print_table(
        f"The endpoint over {len(found.seeds)} seeds: points above the rule that the folds chose",
        ["", "points", "95% interval"],
        [
            ("mean over seeds", *_cells(found.above_rule)),
            ("the same above the best rule (bound)", *_cells(found.above_best_rule)),
            *rows,
        ],
        notes=[
            "The interval holds the luck of the test problems; the spread over seeds is the luck of fitting.",
            *filter(None, [spread]),
            *_nothing(None in found.per_seed),
        ],
    )


def _nothing(empty: bool) -> Sequence[str]:
    return ("Empty: at some seed no budget can be spent.",) if empty else ()


def _print_deferral(found: Deferral, label: Callable[[str], str], unit: str) -> None:
    why: dict[str, list[str]] = {}
    for name, reason in found.empty.items():
        why.setdefault(reason, []).append(label(name))
    print_table(
        f"Deferral curves between {found.low:.3g} and {found.high:.3g} mean samples of {unit}",
        ["", "AIQ %", "planner above", "95% interval", "quality-neutral cost"],
        [
            (
                label(name),
                percent(curve.aiq.value),
                *(("", "") if name == "planner" else _cells(curve.above)),
                "" if curve.quality_neutral_cost is None else f"{curve.quality_neutral_cost:.2f}",
            )
            for name, curve in found.curves.items()
        ],
        notes=[
            "AIQ (RouterBench): mean accuracy over costs, the area under the non-decreasing convex hull.",
            f"Quality-neutral cost: least cost of {percent(found.best)}%, over the "
            f"{found.best_cost:.3g} samples that the most accurate fixed choice takes for it.",
            *(f"Empty, {', '.join(names)}: {reason}." for reason, names in why.items()),
        ],
    )


def _print_learning_curve(found: Sequence[LearningPoint]) -> None:
    print_table(
        "Learning curve: points above the rule that the folds chose on the same problems",
        ["problems learned from", "points", "95% interval", "rule"],
        [(str(one.problems), *_verdict(one.verdict)) for one in found],
        notes=[f"Empty at {one.problems}: {one.why}." for one in found if one.why],
    )


def _print_controls(found: Sequence[Control]) -> None:
    print_table(
        "Controls: points above the rule that the folds chose, learned and met where evidence is shuffled",
        ["shuffled", "points", "95% interval", "rule"],
        [(one.control, *_verdict(one.verdict)) for one in found],
        notes=[
            "A safe planner falls back on rules there and loses nothing.",
            *(f"Empty, {one.control}: {one.why}." for one in found if one.why),
        ],
    )


def _verdict(verdict: Verdict | None) -> tuple[str, str, str]:
    return ("", "", "") if verdict is None else (*_cells(verdict.above_rule), verdict.rule)


def _cells(found: Interval | None) -> tuple[str, str]:
    """Points with their sign, and the interval."""
    if found is None:
        return ("", "")
    return (f"{100 * found.value:+z.1f}", f"{100 * found.low:z.1f} to {100 * found.high:z.1f}")
