"""Spreads one budget over a batch of questions by marginal gain.

Each question's options lie on the upper concave hull of (expected cost, expected accuracy); walking up all
hulls together, steepest step first, until the budget is out, is optimal for expected accuracy up to the
last step (the continuous knapsack; for one strategy this is Damani et al., arXiv 2410.04707). What is then
left buys whatever it still can, on a hull or below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.deciding.fitted import Fitted
from planner.evidence.probe import question_features
from search.budget import Unit
from search.choice import Choice
from search.errors import BudgetError

__all__ = ["Allocation", "allocate", "expected_of", "steps_of", "uniform"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """A choice for each of Q questions, in their order.

    Parameters
    ----------
    accuracy, tokens, flops:
        (Q,) expected, calibrated; logical costs.
    price:
        Accuracy per unit of budget that the first step left out would have bought, 0 if none was. Deciding
        the same questions in stages at that price, per unit, spends about as much, and better.
    """

    choices: tuple[Choice, ...]
    accuracy: Floats
    tokens: Floats
    flops: Floats
    price: float

    def __len__(self) -> int:
        return len(self.choices)

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.choices)

    def __str__(self) -> str:
        return "\n".join(
            f"{choice}: right {accuracy:.2f}, {tokens:.0f} tokens"
            for choice, accuracy, tokens in zip(self.choices, self.accuracy, self.tokens, strict=True)
        )


def allocate(planner: Fitted, questions: Sequence[str], budget: float, unit: Unit = "flops") -> Allocation:
    """Choose a plan for each question so that their expected costs sum to ``budget`` at most.

    Only what the questions say is used, and every choice is run as it is. The expected accuracy is never
    below that of an equal split. Raises BudgetError when the cheapest choices together cost more.
    """
    accuracy, tokens, flops = expected_of(planner, questions)
    cost = tokens if unit == "tokens" else flops
    at = cost.argmin(axis=1)
    rows = np.arange(len(questions))
    left = budget - float(cost[rows, at].sum())
    if not left >= 0.0:
        raise BudgetError(
            f"a shared budget must allow every question its cheapest choice, "
            f"{cost[rows, at].sum():.4g} {unit} in all, got {budget:.4g}"
        )
    steps = [step for row in rows for step in steps_of(int(row), cost[row], accuracy[row])]
    # the steps of one hull fall in slope, so that sorting by slope keeps their order
    steps.sort(key=lambda step: (-step.slope, step.question))
    full: set[int] = set()
    price = 0.0
    for step in steps:
        if step.question in full:
            continue
        if step.cost > left:
            price = max(price, step.slope)
            full.add(step.question)  # later steps of this question build on the one left out
            continue
        left -= step.cost
        at[step.question] = step.choice
    _fill(at, budget, cost, accuracy)
    fits = cost <= budget / len(questions)
    if fits.any(axis=1).all():
        even = np.where(fits, accuracy, -np.inf).argmax(axis=1)
        _fill(even, budget, cost, accuracy)
        if accuracy[rows, even].sum() > accuracy[rows, at].sum():
            at = even
    return _allocation(planner=planner, at=at, accuracy=accuracy, tokens=tokens, flops=flops, price=price)


def uniform(planner: Fitted, questions: Sequence[str], budget: float, unit: Unit = "flops") -> Allocation:
    """The same share for each question, and the best choice within it: what ``allocate`` is compared with.

    Raises BudgetError when a share does not allow the cheapest choice of a question.
    """
    accuracy, tokens, flops = expected_of(planner, questions)
    cost = tokens if unit == "tokens" else flops
    share = budget / max(len(questions), 1)
    fits = cost <= share
    if not fits.any(axis=1).all():
        raise BudgetError(
            f"an equal share must allow each question a choice, {cost.min(axis=1).max():.4g} {unit}, "
            f"got {share:.4g}"
        )
    at = np.where(fits, accuracy, -np.inf).argmax(axis=1)
    return _allocation(planner=planner, at=at, accuracy=accuracy, tokens=tokens, flops=flops, price=0.0)


def _fill(at: Ints, budget: float, cost: Floats, accuracy: Floats) -> None:
    """Move ``at`` (Q,) up, steepest move first, for as long as the budget allows one."""
    rows = np.arange(len(at))
    while True:
        extra = cost - cost[rows, at][:, None]
        gain = accuracy - accuracy[rows, at][:, None]
        possible = (gain > 0.0) & (extra <= budget - cost[rows, at].sum())
        if not possible.any():
            return
        # better and no dearer comes first
        slope = np.where(possible, gain / np.maximum(extra, np.finfo(np.float64).tiny), -np.inf)
        question, choice = np.unravel_index(int(slope.argmax()), slope.shape)
        at[question] = choice


@dataclass(frozen=True, slots=True)
class _Step:
    question: int
    choice: int
    cost: float
    slope: float


def steps_of(question: int, cost: Floats, accuracy: Floats) -> list[_Step]:
    """The steps up the upper concave hull, from the cheapest choice."""
    here = int(cost.argmin())
    steps: list[_Step] = []
    while True:
        dearer = np.flatnonzero((cost > cost[here]) & (accuracy > accuracy[here]))
        if not len(dearer):
            return steps
        slopes = (accuracy[dearer] - accuracy[here]) / (cost[dearer] - cost[here])
        best = float(slopes.max())
        following = int(dearer[np.flatnonzero(slopes >= best)[-1]])
        steps.append(
            _Step(question=question, choice=following, cost=float(cost[following] - cost[here]), slope=best)
        )
        here = following


def expected_of(planner: Fitted, questions: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Calibrated accuracy, tokens and FLOPs, (Q, C) each, of the choices that see the question only."""
    if not questions:
        raise BudgetError("a budget is spread over at least one question, got none")
    stage = planner.stages[0]
    features = np.stack([question_features(question, planner.encoder) for question in questions])
    menu = stage.menu(features, np.array([float(len(question)) for question in questions]))
    return stage.accuracy(menu), menu.costs.tokens, menu.costs.flops


def _allocation(
    *, planner: Fitted, at: Ints, accuracy: Floats, tokens: Floats, flops: Floats, price: float
) -> Allocation:
    rows = np.arange(len(at))
    return Allocation(
        choices=tuple(planner.stages[0].choices[c] for c in at),
        accuracy=accuracy[rows, at],
        tokens=tokens[rows, at],
        flops=flops[rows, at],
        price=price,
    )
