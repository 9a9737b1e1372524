"""What a server does while signals of drift are raised: leans on rules, leaves bad PRMs aside, promises less.

- Decisions go by means over the campaign's problems, the first and safest decider of the portfolio
  (``planner.deciding.decision.Trust``): at every price the choice that was best on average; nothing is looked
  at first.
- Choices and looks that need a PRM that no longer tells right from wrong are left out, where others are left.
- The ends of promised intervals move by as much as answers may have missed promises since the first signal
  was raised (``planner.traffic.signals.Drift.widening``): to [0, 1] at first, and closer with feedback.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.deciding.decision import Menu, Trust
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.deciding.stages import Stage
from planner.solving.availability_filter import AvailabilityFilter
from planner.traffic.signals import Drift

__all__ = ["Leaning"]

#: no price at which anything that was learned decides
_NOWHERE = Trust(np.ones(1), np.zeros(1, np.bool_), np.zeros(1, np.bool_))


class Leaning(DecisionFilter):
    """Decides by the portfolio's rules around another filter."""

    def __init__(self, drift: Drift, then: DecisionFilter | None = None) -> None:
        super().__init__(then)
        self._without = AvailabilityFilter(prms=drift.bad_prms)
        self._widening = drift.widening
        self._names = ", ".join(signal.name for signal in drift.raised)

    def menu(self, stage: Stage, menu: Menu) -> Menu:
        """The menu by the means of the stage, without choices of bad PRMs where any other one is left."""
        menu = replace(menu, average=stage.average, near=None, trust=_NOWHERE)
        without = self._without.menu(stage, menu)
        if np.isfinite(without.costs.tokens_p90).any():
            menu = without
        return super().menu(stage, menu)

    def advice(self, advice: Recommendation) -> Recommendation:
        """The advice with a wider interval, and a warning."""
        low, high = advice.interval
        warning = f"questions have left what was learned ({self._names}): rules decide, intervals are wider"
        return super().advice(
            replace(
                advice,
                interval=(max(0.0, low + self._widening[0]), min(1.0, high + self._widening[1])),
                warnings=(*advice.warnings, warning),
            )
        )
