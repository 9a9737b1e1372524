"""Barring: leaves out what cannot be run now, a PRM or a policy that is down or not there.

Predictions stay as they were learned; choices and looks of these models fit no cap. Wraps another steering.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from planner.decision import Menu, Rule
from planner.labels import Look
from planner.planner import Planner
from planner.stages import Stage
from planner.steering import Steering
from search.choice import Choice

__all__ = ["Barring"]


class Barring(Steering):
    """Bars models by name."""

    def __init__(
        self, policies: Collection[str] = (), prms: Collection[str] = (), then: Steering | None = None
    ) -> None:
        self._policies = frozenset(policies)
        self._prms = frozenset(prms)
        self._then = then or Steering()

    def wrapping(self, then: Steering) -> Barring:
        """The same over another steering."""
        return Barring(self._policies, self._prms, then)

    def bars(self, what: Choice | Look) -> bool:
        """Whether a choice or a look needs a barred model."""
        return what.policy in self._policies or (what.prm is not None and what.prm in self._prms)

    def leaves(self, planner: Planner) -> bool:
        """Whether a planner has a choice left before anything is seen."""
        return not all(self.bars(choice) for choice in planner.stages[0].choices)

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu with costs of what is barred that fit no cap (NaN)."""
        if not self._policies and not self._prms:
            return self._then.menu(stage, menu)
        barred = np.array([self.bars(choice) for choice in stage.choices])
        costs = replace(menu.costs, tokens_p90=np.where(barred, np.nan, menu.costs.tokens_p90))
        menu = replace(menu, costs=costs)
        look = stage.terms.next_look
        if look is not None and menu.look is not None and self.bars(look):
            menu = replace(
                menu, look=replace(menu.look, tokens_p90=np.full_like(menu.look.tokens_p90, np.nan))
            )
        return self._then.menu(stage, menu)

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """As the wrapped one picks."""
        return self._then.pick(stage, menu, rule, option)
