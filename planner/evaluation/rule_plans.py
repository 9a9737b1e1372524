"""Rivals that are plans anybody could write down: weighted adaptive votes and cascades (``planner.rules``).

Their weights are picked on the log that baselines pick on, and at each price the setting that is best there.
"""

from __future__ import annotations

from collections.abc import Callable

from planner.evaluation.baseline_context import BaselineContext, choice_table
from planner.evaluation.frontier import Track
from planner.rules import rule_choices
from planner.training_data import replayable
from search.choice import Choice

__all__ = ["cascade", "weighted_consistency"]


def weighted_consistency(context: BaselineContext) -> Track | None:
    """Adaptive votes of any one policy, plain or weighted; None where no weight is better than the plain
    vote."""
    adaptive = _chosen(context, lambda choice: not choice.plan.parts)
    if not any(choice.plan.vote == "weighted" for choice in adaptive):
        return None
    return _track("weighted_consistency", context, adaptive)


def cascade(context: BaselineContext) -> Track | None:
    """Cascades from a cheaper to a dearer policy, and the cheaper and the dearer answers by themselves."""
    cascades = _chosen(context, lambda choice: bool(choice.plan.parts))
    if not cascades:
        return None
    ends = {part for choice in cascades for part in choice.plan.parts if not part.plan.parts}
    alone = tuple(sorted(ends, key=str))
    return _track("cascade", context, (*cascades, *alone))


def _chosen(context: BaselineContext, wanted: Callable[[Choice], bool]) -> tuple[Choice, ...]:
    rules = rule_choices(context.training.data, seed=context.seed)
    data = context.data
    return tuple(one for one in rules if wanted(one) and replayable(one, data.pools, data.trees))


def _track(name: str, context: BaselineContext, choices: tuple[Choice, ...]) -> Track | None:
    return context.picked(name, [context.both(lambda side: choice_table(side, choices))])
