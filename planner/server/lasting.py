"""Work that goes on beside requests until the server ends, and the one piece of it that is nobody's own:
giving memory that is free back to the system, now and then.

The C library keeps what was freed for its next use. Answers, reads of the log and reloads leave holes of all
sizes, so that without this the process grows by some megabytes in a thousand requests although it holds no
more. A call takes about 15 ms for a heap of 150 MB.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["Heap", "Lasting"]


class Lasting:
    """One task, from ``start`` to ``close``; either may be called twice."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and not closed."""
        return self._task is not None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin, on the running loop; ``work`` is dropped where some is running."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(work)
        else:
            work.close()

    async def close(self) -> None:
        """Cancel the work, and wait for its end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


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
