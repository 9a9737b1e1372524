"""Decision filters change a planner's decisions at serving time and report the probability of each one.

``Planner.decide`` takes one. The base class ``DecisionFilter`` changes nothing itself.
"""

from __future__ import annotations

from planner.deciding.decision import Menu, Rule
from planner.deciding.recommendation import Recommendation
from planner.deciding.stages import Stage
from planner.evidence.probe import Probe
from search.choice import Choice

__all__ = ["DecisionFilter"]


class DecisionFilter:
    """Leaves everything as it is, or to the filter ``then`` that it wraps. Override what matters."""

    _then: DecisionFilter | None = None

    def __init__(self, then: DecisionFilter | None = None) -> None:
        self._then = then

    def excludes(self, what: Choice | Probe) -> bool:
        """Whether a choice or a probe needs a model that cannot be had now."""
        return self._then is not None and self._then.excludes(what)

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu (one row) without what cannot be had now: a cost of NaN fits no cap."""
        return menu if self._then is None else self._then.menu(stage, menu)

    def pick(self, stage: Stage, menu: Menu, rule: Rule, option: int) -> tuple[int, float]:
        """The option to take where the rule says ``option``, and the probability with which it is taken.

        Options are numbered as ``planner.deciding.decision.decide`` has them.
        """
        return (option, 1.0) if self._then is None else self._then.pick(stage, menu, rule, option)

    def advice(self, advice: Recommendation) -> Recommendation:
        """What is told of the option that was taken."""
        return advice if self._then is None else self._then.advice(advice)
