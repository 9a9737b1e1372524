"""The planner beside its rivals: a table and one sentence; every method and difference on request."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from planner.cli.printing import output_console, percent, print_table

if TYPE_CHECKING:
    from planner.evaluation.evaluation import BudgetRow, Evaluation, Point

__all__ = ["conclusion", "method_name", "print_comparison"]

#: the rivals that matter, in the order of the table
_RIVALS = {
    "planner": "planner",
    "majority": "majority vote, best n",
    "best_of_n": "PRM best-of-n, best n",
    "best_fixed": "best fixed plan",
    "mixture": "best mixture of two fixed plans",
    "adaptive_consistency": "adaptive consistency",
    "weighted_consistency": "the same, weighted votes",
    "cascade": "cascade of policies",
    "knn": "best plan of similar questions",
    "static_ceiling": "static ceiling (a bound)",
    "oracle": "oracle (an upper bound)",
}

#: every method by the short name that fits beside four budgets
_METHODS = {
    "planner": "planner",
    "majority": "majority",
    "best_of_n": "best-of-n",
    "best_fixed": "best fixed",
    "mixture": "best two",
    "bin_absolute_predicted": "bins by guess",
    "bin_quantile_predicted": "  quantiles",
    "adaptive_consistency": "adaptive",
    "weighted_consistency": "  weighted",
    "cascade": "cascade",
    "early_stopping": "windows",
    "probe_rule": "unanimity",
    "knn": "neighbours",
    "random": "chance",
    "bin_absolute": "bins, known",
    "bin_quantile": "  quantiles",
    "oracle": "oracle",
    "oracle_steady": "  steady",
    "static_ceiling": "ceiling",
}

#: the rivals of the sentence, as it calls them; the oracle is a bound and no rival
_IN_WORDS = {
    "majority": "majority voting",
    "best_of_n": "best-of-n under a PRM",
    "best_fixed": "the best fixed plan",
    "mixture": "the best mixture of two fixed plans",
    "adaptive_consistency": "adaptive consistency",
    "weighted_consistency": "adaptive consistency with weighted votes",
    "cascade": "a cascade of policies",
    "knn": "the best plan of similar questions",
}


#: a lead in accuracy that a table shows
_VISIBLE = 0.0005


def method_name(name: str) -> str:
    """What a method is called in tables; one from a plug-in by its own name."""
    return _METHODS.get(name, name.replace("_", " ")).strip()


def print_comparison(found: Evaluation, *, everything: bool = False) -> None:
    """Accuracies at equal mean compute, and the sentence that they come to.

    ``everything``: every method, with the differences to the planner and what each method is.
    """
    if everything:
        _print_all(found)
    else:
        print_table(
            f"Accuracy (%) on {found.problems} held-out problems, at the same mean compute for all",
            ["mean budget:", *(row.name for row in found.budgets)],
            [
                [label, *(_accuracy(row.methods.get(name)) for row in found.budgets)]
                for name, label in _rows(found, _RIVALS)
            ],
            notes=[
                "A budget is counted in samples of the main policy; probes and PRMs are paid for. The oracle",
                "picks the best plan of each problem with hindsight, the static ceiling that of each kind of",
                "question: bounds, not rivals.",
                *found.notes,
                *_absent(found, _RIVALS),
            ],
            emphasised=[0],
        )
    output_console().print(conclusion(found), markup=False)


def conclusion(found: Evaluation) -> str:
    """One sentence: how far the planner is above or below its rivals at the middle budget.

    The rivals are the best mixture of two fixed plans and, where another one of the table is more accurate
    than that, the most accurate. The oracle is none.
    """
    from planner.report.headline import middle_budget

    row = middle_budget(found)
    own = [name for name in row.methods if name not in _METHODS]
    rivals = {name: row.methods[name] for name in (*_IN_WORDS, *own) if name in row.methods}
    if not rivals:
        return f"At {row.name} the planner is right on {percent(row.methods['planner'].accuracy)}%."
    strongest = max(rivals, key=lambda name: rivals[name].accuracy)
    named = [strongest]
    if "mixture" in rivals:
        ahead = rivals[strongest].accuracy - rivals["mixture"].accuracy
        named = ["mixture", strongest] if ahead >= _VISIBLE else ["mixture"]
    return f"At {row.name} the planner is {' and '.join(_beside(name, rivals[name]) for name in named)}."


def _beside(name: str, point: Point) -> str:
    """``5.6 points above ... (95% interval 2.3 to 8.9)``; says so where the interval holds zero."""
    points, low, high = (100 * x for x in (point.planner_above, point.above_low, point.above_high))
    side = "above"
    if round(points, 1) < 0:
        points, low, high, side = -points, -high, -low, "below"
    rival = _IN_WORDS.get(name, method_name(name))
    words = f"{points:z.1f} points {side} {rival}" if round(points, 1) else f"level with {rival}"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{words} (too few problems for an interval)"
    proven = low > 0 or high < 0
    return f"{words} ({'' if proven else 'not proven: '}95% interval {low:z.1f} to {high:z.1f})"


def _rows(found: Evaluation, names: dict[str, str]) -> Iterable[tuple[str, str]]:
    """Methods and their labels: those of ``names``, then those that plug-ins have brought."""
    known = {name: None for row in found.budgets for name in row.methods}
    own = {name: method_name(name) for name in known if name not in _METHODS}
    return [(name, label) for name, label in {**names, **own}.items() if name in known]


def _print_all(found: Evaluation) -> None:
    """One row per method; at each mean budget its accuracy and how far the planner is above it."""
    columns = ["samples:"]
    for row in found.budgets:
        columns += [row.name.removesuffix(" samples"), "planner\nabove"]
    print_table(
        "Accuracy (%) at equal mean FLOPs, those of so many samples; "
        f"{found.problems} problems of {found.families} families",
        columns,
        [
            [label, *(cell for row in found.budgets for cell in _cells(name, row))]
            for name, label in _rows(found, _METHODS)
        ],
        notes=[
            "Planner above: points, with half of the 95% interval of the difference, paired by problem.",
            "Differences to the best two that this many problems would show: "
            f"{', '.join(percent(row.detectable) for row in found.budgets)} points.",
            "All pick on other problems; probes, PRMs and deciding are charged. Majority, best-of-n: their",
            "best n. Best two: two fixed plans, mixed to the budget. Bins by guess: by Pass@1 as questions",
            "tell it. Adaptive: samples until the vote is sure; weighted: by likelihood or PRM. Cascade: a",
            "cheap policy, and a dearer one where its samples disagree. Windows: until some in a row agree.",
            "Unanimity: draws 4; if all agree stops, else votes over more or takes the best of more.",
            "Neighbours: what was best on similar questions. Not to be deployed: known bins (Pass@1, told",
            "for nothing), the oracle, which picks the best plan per problem on one half of the samples",
            "and is scored on the other half (steady: its luck discounted), and the ceiling: the best plan",
            "of each kind of question, picked on these problems themselves.",
            *found.notes,
            *_absent(found, _METHODS),
        ],
        emphasised=[0],
    )


def _absent(found: Evaluation, names: dict[str, str]) -> Iterable[str]:
    """Which methods of a table have no row, and why."""
    reasons: dict[str, list[str]] = {}
    for name, why in found.missing.items():
        if name in names:
            reasons.setdefault(why, []).append(method_name(name))
    return [f"Left out, {', '.join(left)}: {why}." for why, left in reasons.items()]


def _accuracy(point: Point | None) -> str:
    return "" if point is None else percent(point.accuracy)


def _cells(name: str, row: BudgetRow) -> tuple[str, str]:
    point = row.methods.get(name)
    if point is None or name == "planner":
        return (_accuracy(point), "")
    half = 50 * (point.above_high - point.above_low)
    return (percent(point.accuracy), f"{100 * point.planner_above:+z.1f} ±{half:z.1f}")
