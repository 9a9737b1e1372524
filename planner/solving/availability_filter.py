"""Excludes what cannot run now: models that are down or missing, plans that do not run on this problem.

Predictions stay as they were learned; what is excluded fits no cap.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from planner.decider import Decider
from planner.deciding.decision import Menu
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.stages import Stage
from planner.evidence.probe import Probe
from search.choice import Choice

__all__ = ["AvailabilityFilter", "RefusalFilter"]


class AvailabilityFilter(DecisionFilter):
    """Excludes models by name."""

    def __init__(
        self, policies: Collection[str] = (), prms: Collection[str] = (), then: DecisionFilter | None = None
    ) -> None:
        super().__init__(then)
        self._policies = frozenset(policies)
        self._prms = frozenset(prms)

    def wrapping(self, then: DecisionFilter | None) -> AvailabilityFilter:
        """The same around another filter."""
        return AvailabilityFilter(self._policies, self._prms, then)

    def excludes(self, what: Choice | Probe) -> bool:
        """Whether a choice, any part of it included, or a probe needs an excluded model."""
        own = self._needs(what) or (isinstance(what, Choice) and any(map(self._needs, what.plan.walk())))
        return own or super().excludes(what)

    def _needs(self, what: Choice | Probe) -> bool:
        """Whether it names an excluded model itself."""
        return what.policy in self._policies or (what.prm is not None and what.prm in self._prms)

    def leaves_out(self, policy: str) -> bool:
        """Whether a policy is excluded."""
        return policy in self._policies

    def leaves(self, planner: Decider) -> bool:
        """Whether a planner has a choice left before anything is seen."""
        return not all(map(self.excludes, planner.opening))

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu with costs of what is excluded that fit no cap (NaN)."""
        if not self._policies and not self._prms:
            return super().menu(stage, menu)
        excluded = np.array([self.excludes(choice) for choice in stage.choices])
        costs = replace(menu.costs, tokens_p90=np.where(excluded, np.nan, menu.costs.tokens_p90))
        menu = replace(menu, costs=costs)
        probe = stage.actions.next_probe
        if probe is not None and menu.probe is not None and self.excludes(probe):
            menu = replace(
                menu, probe=replace(menu.probe, tokens_p90=np.full_like(menu.probe.tokens_p90, np.nan))
            )
        return super().menu(stage, menu)


class RefusalFilter(DecisionFilter):
    """Excludes choices that cannot run on this problem here, or that failed on it.

    A strategy says itself what it cannot run on (``Strategy.refuses``): programs need a jail, and feedback by
    tests a question that shows some.
    """

    def __init__(self, choices: Collection[Choice], then: DecisionFilter | None = None) -> None:
        super().__init__(then)
        self._choices = frozenset(choices)

    def excludes(self, what: Choice | Probe) -> bool:
        """Whether it is one of them, or a wrapped filter excludes it."""
        return what in self._choices or super().excludes(what)

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu with costs of what is excluded that fit no cap (NaN)."""
        excluded = np.array([choice in self._choices for choice in stage.choices])
        if excluded.any():
            costs = replace(menu.costs, tokens_p90=np.where(excluded, np.nan, menu.costs.tokens_p90))
            menu = replace(menu, costs=costs)
        return super().menu(stage, menu)
