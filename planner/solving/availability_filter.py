"""Availability filter: excludes models that cannot be run now, a PRM or a policy that is down or missing.

Predictions stay as they were learned; choices and probes of these models fit no cap. Wraps another filter.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from planner.decider import Decider
from planner.deciding.decision import Menu, Rule
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.deciding.stages import Stage
from planner.evidence.labels import Probe
from search.choice import Choice

__all__ = ["AvailabilityFilter"]


class AvailabilityFilter(DecisionFilter):
    """Excludes models by name."""

    def __init__(
        self, policies: Collection[str] = (), prms: Collection[str] = (), then: DecisionFilter | None = None
    ) -> None:
        self._policies = frozenset(policies)
        self._prms = frozenset(prms)
        self._then = then or DecisionFilter()

    def wrapping(self, then: DecisionFilter) -> AvailabilityFilter:
        """The same around another filter."""
        return AvailabilityFilter(self._policies, self._prms, then)

    def excludes(self, what: Choice | Probe) -> bool:
        """Whether a choice, any part of it included, or a probe needs an excluded model."""
        own = self._needs(what) or (isinstance(what, Choice) and any(map(self._needs, what.plan.walk())))
        return own or self._then.excludes(what)

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
            return self._then.menu(stage, menu)
        excluded = np.array([self.excludes(choice) for choice in stage.choices])
        costs = replace(menu.costs, tokens_p90=np.where(excluded, np.nan, menu.costs.tokens_p90))
        menu = replace(menu, costs=costs)
        probe = stage.actions.next_probe
        if probe is not None and menu.probe is not None and self.excludes(probe):
            menu = replace(
                menu, probe=replace(menu.probe, tokens_p90=np.full_like(menu.probe.tokens_p90, np.nan))
            )
        return self._then.menu(stage, menu)

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """As the wrapped one picks."""
        return self._then.pick(stage, menu, rule, option)

    def advice(self, advice: Recommendation) -> Recommendation:
        """As the wrapped one tells it."""
        return self._then.advice(advice)
