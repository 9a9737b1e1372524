"""What else there is: every choice of a planner's first stage, what it is worth and costs for a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.planner import Planner
from search.choice import Choice

__all__ = ["Option", "Voting", "options", "voting"]


@dataclass(frozen=True, slots=True)
class Option:
    """A choice with its expected accuracy (calibrated) and cost, means and 90% quantiles."""

    choice: Choice
    accuracy: float
    tokens: float
    flops: float
    tokens_p90: float
    flops_p90: float


@dataclass(frozen=True, slots=True)
class Voting:
    """The cheapest plain vote (or greedy answer) of an accuracy. ``never``: none is expected to reach it,
    and this is the most accurate one."""

    option: Option
    never: bool


def options(planner: Planner, question: str) -> tuple[Option, ...]:
    """All choices before any token is spent, most accurate first."""
    stage = planner.stages[0]
    menu = stage.menu(planner.features(stage, question, None), np.array([float(len(question))]))
    accuracy, costs = stage.accuracy(menu)[0], menu.costs
    found = [
        Option(
            choice,
            float(accuracy[i]),
            float(costs.tokens[0, i]),
            float(costs.flops[0, i]),
            float(costs.tokens_p90[0, i]),
            float(costs.flops_p90[0, i]),
        )
        for i, choice in enumerate(stage.choices)
    ]
    return tuple(sorted(found, key=lambda option: (-option.accuracy, option.flops)))


def voting(found: Sequence[Option], policy: str, accuracy: float) -> Voting | None:
    """The plain vote of ``policy`` that reaches an accuracy at the least cost; None where none is offered."""
    votes = [
        option
        for option in found
        if option.choice.policy == policy and option.choice.plan.strategy in ("majority", "cot")
    ]
    if not votes:
        return None
    reaching = [option for option in votes if option.accuracy >= accuracy]
    if reaching:
        return Voting(min(reaching, key=lambda option: option.flops), never=False)
    return Voting(max(votes, key=lambda option: option.flops), never=True)
