"""Decision filters change a planner's decisions at serving time and report the probability of each one.

``Planner.recommend`` and ``Planner.decide`` take one. The base class ``DecisionFilter`` changes nothing.
"""

from __future__ import annotations

from planner.deciding.decision import Menu, Rule
from planner.deciding.recommendation import Recommendation
from planner.deciding.stages import Stage
from planner.evidence.labels import Probe
from search.choice import Choice

__all__ = ["DecisionFilter"]


class DecisionFilter:
    """Leaves everything as it is. Override what matters."""

    def excludes(self, what: Choice | Probe) -> bool:
        """Whether a choice or a probe needs a model that cannot be had now."""
        return False

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu (one row) without what cannot be had now: a cost of NaN fits no cap."""
        return menu

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """The option to take where the rule says ``option``, and the probability with which it is taken.

        Options are numbered as ``planner.deciding.decision.decide`` has them.
        """
        return option, 1.0

    def advice(self, advice: Recommendation) -> Recommendation:
        """What is told of the option that was taken."""
        return advice
