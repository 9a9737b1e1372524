"""The result in one sentence, made from an evaluation by rule: the middle budget, the strongest rival."""

from __future__ import annotations

import math

from planner.evaluation.evaluation import BudgetRow, Evaluation
from planner.evaluation.intervals import says_something
from planner.report.words import CANNOT_BE_DEPLOYED, method
from search.errors import TooLittleDataError

__all__ = ["headline", "middle_budget"]

#: points of accuracy that one decimal does not show
_LEVEL = 0.05


def middle_budget(evaluation: Evaluation) -> BudgetRow:
    """The budget in the middle of those compared, the smaller of two.

    Raises TooLittleDataError where none was compared.
    """
    if not evaluation.budgets:
        raise TooLittleDataError("a report needs at least one mean budget that was compared, got none")
    return evaluation.budgets[(len(evaluation.budgets) - 1) // 2]


def headline(evaluation: Evaluation) -> str:
    """The planner's accuracy at the middle budget beside the strongest rival that can be deployed, and the
    share of the gap that it closes, where its interval says anything. A difference whose 95% interval holds
    zero is said to be unproven."""
    row = middle_budget(evaluation)
    ours = row.methods["planner"]
    said = (
        f"At a mean budget of {row.name} the planner is right on {100 * ours.accuracy:z.1f}% of the problems"
    )
    rivals = {
        name: point
        for name, point in row.methods.items()
        if name != "planner" and name not in CANNOT_BE_DEPLOYED
    }
    if rivals:
        name, point = max(rivals.items(), key=lambda item: item[1].accuracy)
        points, low, high = (100 * x for x in (point.planner_above, point.above_low, point.above_high))
        side = "above" if points >= 0 else "below"
        apart = "level with" if abs(points) < _LEVEL else f"{abs(points):.1f} points {side}"
        proven = "" if low > 0 or high < 0 else ": not proven"
        said += (
            f", {apart} the best rival that can be deployed ({method(name)}; "
            f"95% interval of the difference {_signed(low)} to {_signed(high)}{proven})"
        )
    closed = evaluation.gap_closed
    if math.isfinite(closed.get("value", math.nan)):
        value, low, high = (100 * closed[name] for name in ("value", "low", "high"))
        if not says_something(low, high, "%"):
            return said + "."
        count = len(evaluation.budgets)
        it = f"Over all {count} budgets it" if count > 1 else "It"
        said += (
            f". {it} closes {value:.0f}% of the gap between the best fixed plan and an oracle "
            f"({low:.0f} to {high:.0f}%)"
        )
    return said + "."


def _signed(points: float) -> str:
    """With a real minus sign.

    >>> _signed(-2.04)
    '\\u22122.0'
    """
    return f"{points:+z.1f}".replace("-", "\u2212")
