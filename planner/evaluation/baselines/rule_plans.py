"""Rivals that are plans anybody could write down: weighted adaptive votes and cascades
(``planner.evaluation.baselines.rules``).

Their weights are picked on the log that baselines pick on, and at each price the setting that is best there.
"""

from __future__ import annotations

from planner.evaluation.baseline_context import BaselineContext, choice_table
from planner.evaluation.frontier import Track
from search.choice import Choice

__all__ = ["cascade", "weighted_consistency"]


def weighted_consistency(context: BaselineContext) -> Track | None:
    """Adaptive votes of any one policy, plain or weighted; None where no weight is better than the plain
    vote."""
    adaptive = tuple(choice for choice in context.rules if not choice.plan.parts)
    if not any(choice.plan.vote == "weighted" for choice in adaptive):
        return None
    return _track("weighted_consistency", context, adaptive)


def cascade(context: BaselineContext) -> Track | None:
    """Cascades from a cheaper to a dearer policy, and the cheaper and the dearer answers by themselves."""
    cascades = tuple(choice for choice in context.rules if choice.plan.parts)
    if not cascades:
        return None
    ends = {part for choice in cascades for part in choice.plan.parts if not part.plan.parts}
    alone = tuple(sorted(ends, key=str))
    return _track("cascade", context, (*cascades, *alone))


def _track(name: str, context: BaselineContext, choices: tuple[Choice, ...]) -> Track | None:
    return context.picked(name, [context.both(lambda side: choice_table(side, choices))])
