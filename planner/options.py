"""What else there is: every choice of a planner's first stage, what it is worth and costs for a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.decider import Decider
from planner.deciding.money import with_money
from planner.deciding.recommendation import Recommendation
from search.budget import Prices
from search.choice import Choice

__all__ = ["Option", "Voting", "appraised", "options", "voting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A choice with its expected accuracy (calibrated) and cost, means and 90% quantiles."""

    choice: Choice
    accuracy: float
    tokens: float
    flops: float
    tokens_p90: float
    flops_p90: float
    usd_p90: float | None = None


@dataclass(frozen=True, slots=True)
class Voting:
    """The cheapest plain vote (or greedy answer) of an accuracy. ``never``: none is expected to reach it,
    and this is the largest one."""

    option: Option
    never: bool


def options(
    planner: Decider, question: str, prices: Mapping[str, Prices] | Prices | None = None
) -> tuple[Option, ...]:
    """All choices before any token is spent, most accurate first; () where nothing was learned of them. With
    ``prices`` their money too."""
    fitted = planner.fitted
    if fitted is None:
        return ()
    stage = fitted.stages[0]
    menu = stage.menu(fitted.features(stage, question, None), np.array([float(len(question))]))
    if prices is not None:
        prompts = fitted.prompts(question)
        menu = with_money(menu, stage, prices, characters=len(question), prompts=prompts)
    accuracy, costs = stage.accuracy(menu)[0], menu.costs
    found = [
        Option(
            choice=choice,
            accuracy=float(accuracy[i]),
            tokens=float(costs.tokens[0, i]),
            flops=float(costs.flops[0, i]),
            tokens_p90=float(costs.tokens_p90[0, i]),
            flops_p90=float(costs.flops_p90[0, i]),
            usd_p90=None if costs.usd_p90 is None else float(costs.usd_p90[0, i]),
        )
        for i, choice in enumerate(stage.choices)
    ]
    return tuple(sorted(found, key=lambda option: (-option.accuracy, option.flops)))


def appraised(planner: Decider, question: str, choice: Choice) -> Recommendation:
    """A choice that somebody else has made, as advice: what the planner expects of it.

    Accuracy and costs are NaN where the planner was not learned from that choice, and a warning says so.
    """
    fitted = planner.fitted
    for option in options(planner, question):
        if fitted is not None and option.choice == choice:
            return Recommendation(
                choice=choice,
                probe=None,
                accuracy=option.accuracy,
                interval=fitted.stages[0].reliability.interval(option.accuracy),
                tokens=option.tokens,
                flops=option.flops,
                tokens_p90=option.tokens_p90,
                flops_p90=option.flops_p90,
                runner_up=None,
            )
    unknown = float("nan")
    warning = "the planner was not learned from this choice: what it is worth and costs is unknown"
    return Recommendation(
        choice=choice,
        probe=None,
        accuracy=unknown,
        interval=(0.0, 1.0),
        tokens=unknown,
        flops=unknown,
        tokens_p90=unknown,
        flops_p90=unknown,
        runner_up=None,
        warnings=(warning,),
    )


def voting(found: Sequence[Option], policy: str, accuracy: float) -> Voting | None:
    """The plain vote of ``policy`` that reaches an accuracy at the least cost; None where none is offered."""
    votes = [
        option
        for option in found
        if option.choice.policy == policy
        and not option.choice.plan.needs_prm
        and (option.choice.plan.is_pooled or option.choice.plan.is_greedy)
    ]
    if not votes:
        return None
    reaching = [option for option in votes if option.accuracy >= accuracy]
    if reaching:
        return Voting(min(reaching, key=lambda option: option.flops), never=False)
    return Voting(max(votes, key=lambda option: option.flops), never=True)
