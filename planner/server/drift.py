"""Whether live questions lean away from those that the planner was fitted on, and what a server does then.

Live traffic is compared with what the planner was fitted on, now and then, and a line is logged once in each
interval in which a signal is raised (``planner.traffic.signals``). While one is raised:

- Decisions go by means over the campaign's problems, the first and safest decider of the portfolio
  (``planner.deciding.decision.Trust``): at every price the choice that was best on average; nothing is looked
  at first.
- Choices and looks that need a PRM that no longer tells right from wrong are left out, where others are left.
- The ends of promised intervals move by as much as answers may have missed promises since the first signal
  was raised (``planner.traffic.signals.Drift.widening``): to [0, 1] at first, and closer with feedback.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from planner.deciding.decision import Menu, Trust
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.deciding.stages import Stage
from planner.server.current import InUse
from planner.server.decisions.drift import DriftReport, measure_drift
from planner.server.decisions.log import DecisionLog
from planner.server.lasting import Lasting
from planner.solving.availability_filter import AvailabilityFilter
from planner.traffic.signals import Drift, read_drift
from planner.traffic.sources import Sources

__all__ = [
    "Leaning",
    "Watch",
    "told",
]

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


_LOGGER = logging.getLogger("planner.server")


class Watch:
    """Keeps the newest report.

    ``every`` in seconds, and ``say_every`` those between two lines of the log; a server without a decision
    log on disk has none, nor one without a fitted planner.
    """

    def __init__(
        self,
        current: InUse,
        log: DecisionLog | None = None,
        every: float = 60.0,
        *,
        sources: Sources | None = None,
        clock: Callable[[], float] = time.time,
        say_every: float = 3600.0,
    ) -> None:
        self.report: DriftReport | None = None
        self.drift: Drift | None = None
        self._sources, self._clock = sources, clock
        self._say_every, self._said = say_every, -math.inf
        self._current = current
        self._log = log
        self._every = every
        self._task = Lasting()

    def start(self) -> None:
        """Begin to measure, on the running loop."""
        if self._log is not None:
            self._task.start(self._run(self._log))

    def leaning(self, fingerprint: str, then: DecisionFilter | None) -> DecisionFilter | None:
        """``then``, within what leans on rules where the planner of this fingerprint has drifted."""
        drift = self.drift
        if drift is None or not drift.raised or drift.planner != fingerprint:
            return then
        return Leaning(drift, then)

    async def look(self, log: DecisionLog) -> None:
        """Measure once."""
        served = self._current.served
        fitted = served.planner.fitted
        if fitted is None:
            self.report = self.drift = None
            return
        self.report = await asyncio.to_thread(measure_drift, log.store, fitted, served.fingerprint)
        self.drift = await asyncio.to_thread(
            read_drift, log.store, fitted, served.fingerprint, now=self._clock(), sources=self._sources
        )
        if self.drift.raised and self._clock() - self._said >= self._say_every:
            self._said = self._clock()
            _LOGGER.warning("%s", told(self.drift))

    async def close(self) -> None:
        """End."""
        await self._task.close()

    async def _run(self, log: DecisionLog) -> None:
        while True:
            began = time.monotonic()
            try:
                await self.look(log)
            except Exception as error:  # a database that is away: the next time may do better
                _LOGGER.warning("drift could not be measured: %s", type(error).__name__)
            # a large log is measured less often
            await asyncio.sleep(max(self._every, 20.0 * (time.monotonic() - began)))


def told(drift: Drift) -> str:
    """Signals that are raised, since when, and what a refit needs."""
    signals = "; ".join(
        f"{signal.name} since {datetime.fromtimestamp(signal.since or 0.0, UTC):%Y-%m-%d %H:%M} UTC"
        + (f" ({signal.detail})" if signal.detail else "")
        for signal in drift.raised
    )
    return (
        f"questions have left what planner {drift.planner[:12]} learned: {signals}. Rules decide. A refit "
        f"needs about {drift.problems} new problems, or {drift.words} decisions with feedback"
    )
