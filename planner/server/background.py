"""Work beside requests: a few at a time, and a bounded number that waits. No request waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from planner.server.access.admission import Admission
from search.errors import PlannerError

__all__ = ["Background"]

_LOGGER = logging.getLogger("planner.server")


class Background:
    """Runs what it is given after the request that gave it. Used on one event loop.

    Parameters
    ----------
    running, waiting:
        Most that run at a time, and most that wait; beyond that, work is dropped and counted.

    ``admission`` is the door of this work: it takes no place of a request.
    """

    def __init__(self, running: int = 2, waiting: int = 64) -> None:
        self.admission = Admission(running=running, waiting=waiting)
        self.begun = 0
        self.dropped = 0
        self.failed = 0
        self._most = running + waiting
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Begin work soon, with a clock of its own; False where too much waits."""
        if len(self._tasks) >= self._most:
            self.dropped += 1
            return False
        self.begun += 1
        # an empty context: nothing of this work belongs to the request that it comes from
        task = asyncio.get_running_loop().create_task(self._run(work), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def drained(self) -> None:
        """Wait until nothing is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel what runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (PlannerError, TimeoutError) as error:
            self.failed += 1
            _LOGGER.warning("work beside requests failed: %s", type(error).__name__)
