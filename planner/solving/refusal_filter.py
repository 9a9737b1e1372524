"""Refusal filter: excludes choices that cannot run on this problem here, or that failed on it.

A strategy says itself what it cannot run on (``Strategy.refuses``): programs need a jail, and feedback by
tests a question that shows some. Predictions stay as they were learned. Wraps another filter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from planner.deciding.decision import Menu, Rule
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.deciding.stages import Stage
from planner.evidence.labels import Probe
from search.choice import Choice
from search.problem import Problem
from search.strategies.protocol import Setting, Strategy

__all__ = ["RefusalFilter", "refused"]


class RefusalFilter(DecisionFilter):
    """Excludes these choices."""

    def __init__(self, choices: Collection[Choice], then: DecisionFilter | None = None) -> None:
        self._choices = frozenset(choices)
        self._then = then or DecisionFilter()

    def excludes(self, what: Choice | Probe) -> bool:
        """Whether it is one of them, or the wrapped filter excludes it."""
        return what in self._choices or self._then.excludes(what)

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu with costs of what is excluded that fit no cap (NaN)."""
        excluded = np.array([choice in self._choices for choice in stage.choices])
        if excluded.any():
            costs = replace(menu.costs, tokens_p90=np.where(excluded, np.nan, menu.costs.tokens_p90))
            menu = replace(menu, costs=costs)
        return self._then.menu(stage, menu)

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """As the wrapped one picks."""
        return self._then.pick(stage, menu, rule, option)

    def advice(self, advice: Recommendation) -> Recommendation:
        """As the wrapped one tells it."""
        return self._then.advice(advice)


async def refused(
    choices: Iterable[Choice], problem: Problem, settings: Collection[Setting]
) -> frozenset[Choice]:
    """Those of some choices that cannot run on a problem. Most strategies run anywhere: they cost nothing."""
    found: set[Choice] = set()
    for choice in choices:
        for plan in (choice.plan, *(part.plan for part in choice.plan.walk())):
            if type(plan.described).refuses is Strategy.refuses:
                continue
            setting = next((one for one in settings if one.engine.card.name == choice.policy), None)
            if setting is None:
                continue  # whoever runs it says that its policy is not there
            if await asyncio.to_thread(plan.described.refuses, problem, setting) is not None:
                found.add(choice)
    return frozenset(found)
