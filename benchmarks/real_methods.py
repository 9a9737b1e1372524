"""The methods of ``real_models.py``: what may be asked, and what comes of it within a budget.

A method is a family of choices. Within a mean budget it takes the one that is most accurate on the other
folds (families are never split) among those whose mean cost fits; of equals the cheaper. A method is added by
one entry in ``methods``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from real_record import Group, Holding, Table

from planner.evaluation.intervals import Interval, Resampler
from search.choice import Choice

__all__ = ["Budget", "Cell", "Method", "budgets", "cells", "difference", "methods", "rivals"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: budgets in samples of the smallest policy, prompts included
SAMPLES = (1, 2, 4, 8, 16)
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Method:
    """Choices of one kind. ``needs``: what the log must hold for them, to say what is missing."""

    name: str
    takes: Callable[[Choice], bool]
    needs: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """Mean FLOPs per question; None for any cost."""

    name: str
    flops: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """What a method met on each problem (P,); ``why`` there is nothing, where there is nothing.

    ``picked``: choice -> problems that it was taken for.
    """

    why: str | None
    accuracy: Floats | None = None
    tokens: Floats | None = None
    flops: Floats | None = None
    picked: Mapping[str, int] | None = None

    def figures(self, resampler: Resampler) -> dict[str, object]:
        """As JSON: shares of 1, tokens and FLOPs per question."""
        if self.accuracy is None or self.tokens is None or self.flops is None:
            return dict.fromkeys(("accuracy", "low", "high", "tokens", "flops", "picked")) | {"why": self.why}
        met = resampler.interval(self.accuracy)
        return {
            **{"accuracy": met.value, "low": met.low, "high": met.high},
            **{"tokens": float(self.tokens.mean()), "flops": float(self.flops.mean())},
            **{"picked": self.picked, "why": None},
        }


def methods(policies: Sequence[str]) -> list[Method]:
    """All methods, policies from the smallest to the largest."""
    found = []
    for policy in policies:
        draws, greedy = Holding(policy, "draws"), Holding(policy, "greedy")
        found += [
            Method(f"greedy, {policy}", _of(policy, "cot"), (greedy,)),
            Method(f"majority, {policy}", _of(policy, "majority"), (draws,)),
            Method(f"adaptive vote, {policy}", _of(policy, "adaptive_vote"), (draws,)),
            Method(f"chosen plan, {policy}", _alone(policy), (draws,)),
        ]
    for place, small in enumerate(policies):
        for large in policies[place + 1 :]:
            needs = (Holding(small, "draws"), Holding(large, "greedy"))
            found.append(Method(f"cascade, {small} then {large}", _cascade(small, large), needs))
    if len(policies) > 1:
        every = tuple(Holding(policy, "greedy") for policy in policies[1:])
        found.append(Method("chosen plan, all policies", lambda choice: True, every))
    return found


def _of(policy: str, strategy: str) -> Callable[[Choice], bool]:
    return lambda choice: choice.policy == policy and choice.plan.strategy == strategy


def _alone(policy: str) -> Callable[[Choice], bool]:
    return lambda choice: choice.policy == policy and not choice.plan.parts


def _cascade(small: str, large: str) -> Callable[[Choice], bool]:
    return lambda choice: [part.policy for part in choice.plan.parts] == [small, large]


def rivals(policies: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of methods whose difference is told at every budget that both have."""
    found = []
    for place, small in enumerate(policies):
        for large in policies[place + 1 :]:
            cascade = f"cascade, {small} then {large}"
            found += [
                (f"chosen plan, {small}", f"greedy, {large}"),
                (cascade, f"greedy, {large}"),
                (cascade, f"chosen plan, {small}"),
            ]
    for policy in policies:
        found += [
            (f"majority, {policy}", f"greedy, {policy}"),
            (f"adaptive vote, {policy}", f"majority, {policy}"),
        ]
    return found


def budgets(group: Group, table: Table, unit: float) -> list[Budget]:
    """Some samples of the smallest policy, as far as a choice costs so much; what each other policy's greedy
    answer costs; and any cost."""
    dearest = float(table.flops.mean(axis=0).max())
    found = [Budget(_samples(n), n * unit) for n in SAMPLES if n == 1 or n * unit <= dearest]
    mean = table.flops.mean(axis=0)
    for policy in group.policies[1:]:
        cost = [mean[place] for place, one in enumerate(table.choices) if _of(policy, "cot")(one)]
        found += [Budget(f"as the greedy answer of {policy}", float(one)) for one in cost]
    return [*found, Budget("any cost", None)]


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"


def cells(
    group: Group, table: Table, fold: Ints, budget: Budget, *, unit: float, asked: Sequence[Method]
) -> dict[str, Cell]:
    """What each method meets within a budget."""
    return {method.name: cell(group, table, fold, budget, method=method, unit=unit) for method in asked}


def cell(group: Group, table: Table, fold: Ints, budget: Budget, *, method: Method, unit: float) -> Cell:
    """What one method meets within a budget. ``fold`` (P,), from 0."""
    missing = [holding for holding in method.needs if holding not in group.holds]
    if missing:
        whys = [group.lacks.get(one, f"{one}: not logged for these problems") for one in missing]
        return Cell("; ".join(whys))
    places = np.array([at for at, choice in enumerate(table.choices) if method.takes(choice)], np.int64)
    if not len(places):
        return Cell("a problem has too few samples for it")
    cost = table.flops[:, places].mean(axis=0)
    fits = np.ones(len(places), bool) if budget.flops is None else cost <= budget.flops * (1.0 + _CLOSE)
    if not fits.any():
        return Cell(f"the cheapest costs {cost.min() / unit:.2f} samples")
    places = places[fits]
    if len(places) > 1 and fold.max() == 0:
        return Cell("a plan is chosen on other families, and there is one")
    picks = np.array([chosen(table, places, fold != number) for number in range(int(fold.max()) + 1)])[fold]
    rows = np.arange(len(fold))
    counts = Counter(str(table.choices[at]) for at in picks)
    return Cell(
        None,
        table.accuracy[rows, picks],
        table.tokens[rows, picks],
        table.flops[rows, picks],
        dict(counts.most_common()),
    )


def chosen(table: Table, places: Ints, seen: NDArray[np.bool_]) -> int:
    """The most accurate of some choices on the problems that are seen; of equals the cheapest."""
    if len(places) == 1:
        return int(places[0])
    accuracy = table.accuracy[seen][:, places].mean(axis=0)
    best = places[accuracy >= accuracy.max() - _CLOSE]
    return int(best[table.flops[:, best].mean(axis=0).argmin()])


def difference(one: Cell, other: Cell, resampler: Resampler) -> Interval | None:
    """How much more accurate the one is on the same problems; None where either has nothing."""
    if one.accuracy is None or other.accuracy is None:
        return None
    return resampler.interval(one.accuracy - other.accuracy)
