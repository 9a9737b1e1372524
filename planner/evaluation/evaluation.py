"""What an evaluation found: dataclasses, and the JSON that programs read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from planner.evaluation.area import Area
from planner.evaluation.compute_to_target import Multiple
from planner.evaluation.headline import Headline

__all__ = ["METHODS", "BudgetRow", "Curve", "Evaluation", "Point"]

#: the methods of the JSON, in its order; null in a row where a log has nothing for it to work with. Those of
#: plug-ins follow
METHODS = (
    "planner",
    "majority",
    "best_of_n",
    "best_fixed",
    "mixture",
    "bin_absolute",
    "bin_quantile",
    "bin_absolute_predicted",
    "bin_quantile_predicted",
    "adaptive_consistency",
    "weighted_consistency",
    "cascade",
    "early_stopping",
    "probe_rule",
    "knn",
    "random",
    "oracle",
    "oracle_steady",
    "static_ceiling",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A method at one budget: mean accuracy with its 95% interval, mean cost, and how many points
    (1.0 is a hundred) the planner is above it, with the interval of that paired difference."""

    accuracy: float
    tokens: float
    flops: float
    low: float
    high: float
    planner_above: float
    above_low: float
    above_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """Every method at one mean budget. ``detectable``: the difference to the best mixture of two fixed plans
    that this number of problems shows in four tests of five."""

    name: str
    flops: float
    methods: dict[str, Point]
    detectable: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A method's means at all its settings, cheapest first, for pictures; ``low`` and ``high`` are the 95%
    interval of the accuracy."""

    name: str
    flops: tuple[float, ...]
    tokens: tuple[float, ...]
    accuracy: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The whole comparison; ``to_json`` gives it to programs.

    Parameters
    ----------
    fixed:
        Every fixed choice, a curve of one point each.
    gap_closed:
        (planner - best fixed) / (oracle - best fixed), sums over the budgets: ``value``, ``low``, ``high``;
        with ``gap_points`` and ``planner_points``, the means over the budgets of bottom and top in points.
    gap_closed_steady:
        The same against the oracle that discounts luck: a harder yardstick, as a rule.
    calibration:
        Of expected accuracies of the choices made: ``ece``, ``resolution``, ``brier``, with their intervals.
    budget_error_percent, budget_error_untended_percent:
        How far mean budgets were missed over a stream of the held-out problems, over the budgets that the
        planner can spend at all (NaN without one): with the price re-estimated after every request, and as
        it came from training.
    made:
        Share of problems that ended in each choice, per budget.
    areas:
        Of every method, between the least and the largest budget.
    multiples:
        Least compute of ``mixture`` (of two fixed choices), ``cascade``, ``majority``, ``best_of_n`` and
        ``adaptive_consistency`` at their best accuracy, over the planner's; ``control`` is majority over
        itself, which is 1.
    headline, headline_mean:
        Per policy x PRM, and the geometric mean of the multiples.
    promises:
        Per budget: mean FLOPs expected before any token and ``met``, and the error in percent; the same
        of accuracies; the same by domain.
    target_accuracy:
        Per target: what a stream of the held-out problems met, and what it cost.
    reliability:
        Bins of expected accuracy over all budgets, for pictures.
    decision_ms:
        Measured ``p50`` and ``p99`` of a decision; NaN where it was not asked for.
    definitions:
        What the headline figures mean.
    missing:
        Method -> why it has no figures.
    empty:
        Figure, as the JSON names it (``headline.0.gain``) -> why it is empty. What is empty here is NaN in
        Python and null in the JSON.
    """

    problems: int
    families: int
    sample_flops: float
    budgets: tuple[BudgetRow, ...]
    curves: tuple[Curve, ...]
    fixed: tuple[Curve, ...]
    gap_closed: dict[str, float]
    calibration: dict[str, float]
    budget_error_percent: float
    made: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()
    areas: dict[str, Area] = field(default_factory=dict)
    multiples: dict[str, Multiple] = field(default_factory=dict)
    headline: tuple[Headline, ...] = ()
    headline_mean: dict[str, float] = field(default_factory=dict)
    gap_closed_steady: dict[str, float] = field(default_factory=dict)
    promises: dict[str, dict[str, Any]] = field(default_factory=dict)
    target_accuracy: tuple[dict[str, Any], ...] = ()
    reliability: tuple[dict[str, float], ...] = ()
    budget_error_untended_percent: float = math.nan
    decision_ms: dict[str, float] = field(default_factory=lambda: {"p50": math.nan, "p99": math.nan})
    definitions: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    empty: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """A table: accuracy of every method at every mean budget."""
        rows = [["method", *(row.name for row in self.budgets)]]
        for method in METHODS:
            points = [row.methods.get(method) for row in self.budgets]
            if any(point is not None for point in points):
                rows.append([method, *("" if p is None else f"{100 * p.accuracy:z.1f}" for p in points)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ]
        return "\n".join(["accuracy in percent at a mean budget of so many samples", *lines])

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN (no gap to close, say) becomes null."""
        body = asdict(self)
        body["budgets"] = [
            {"name": row["name"], "flops": row["flops"], "detectable": row["detectable"]}
            | {name: row["methods"].get(name) for name in (*METHODS, *_others(row["methods"]))}
            for row in body["budgets"]
        ]
        return dict(_plain(body))


def _others(methods: Mapping[str, Any]) -> list[str]:
    """Methods that are not among ours: baselines of plug-ins."""
    return [name for name in methods if name not in METHODS]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
