"""Watches for drift: compares live traffic with what the planner was fitted on, now and then."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from planner.server.current import InUse
from planner.server.decisions.drift import DriftReport, measure_drift
from planner.server.decisions.log import DecisionLog

__all__ = ["Watch"]

_LOGGER = logging.getLogger("planner.server")


class Watch:
    """Keeps the newest report.

    ``every`` in seconds; a server without a decision log on disk has none, nor one without a fitted planner.
    """

    def __init__(self, current: InUse, log: DecisionLog | None = None, every: float = 60.0) -> None:
        self.report: DriftReport | None = None
        self._current = current
        self._log = log
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure, on the running loop."""
        if self._log is not None and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._log))

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self, log: DecisionLog) -> None:
        while True:
            served, report = self._current.served, None
            try:
                if served.planner.fitted is not None:
                    report = await asyncio.to_thread(
                        measure_drift, log.store, served.planner.fitted, served.fingerprint
                    )
                self.report = report
            except Exception as error:  # a database that is away: the next time may do better
                _LOGGER.warning("drift could not be measured: %s", type(error).__name__)
            await asyncio.sleep(self._every)
