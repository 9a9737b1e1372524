"""Gives memory that is free back to the system, now and then.

The C library keeps what was freed for its next use. Answers, reads of the log and reloads leave holes of all
sizes, so that without this the process grows by some megabytes in a thousand requests although it holds no
more. A call takes about 15 ms for a heap of 150 MB.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from planner.server.lasting import Lasting

__all__ = ["Heap"]


class Heap:
    """Trims every ``seconds``, on the running loop, from ``start`` to ``close``.

    ``trim``: what does it; the C library's by default, nothing where that has none.
    """

    def __init__(self, seconds: float = 60.0, trim: Callable[[], object] | None = None) -> None:
        self._seconds = seconds
        self._trim = trim or _trim()
        self._task = Lasting()

    def start(self) -> None:
        """Begin."""
        self._task.start(self._run())

    async def close(self) -> None:
        """End."""
        await self._task.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await asyncio.to_thread(self._trim)


def _trim() -> Callable[[], object]:
    """glibc's ``malloc_trim``; it lets other threads run meanwhile."""
    found = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: None) if found is None else (lambda: found(0))
