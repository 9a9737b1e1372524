"""Work that goes on beside requests until the server ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["Lasting"]


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
