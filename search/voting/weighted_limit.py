"""Limits how much work is done at a time, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["WeightedLimit"]


class WeightedLimit:
    """Lets work of different weight in, up to ``most`` at a time. For one event loop.

    Work heavier than ``most`` enters alone. ``waiting`` counts what stands outside; ``on_change`` is called
    as work enters or ends.

    Parameters
    ----------
    most:
        Weight inside at a time, at least 1.
    """

    def __init__(self, most: int, on_change: Callable[[], None] = lambda: None) -> None:
        if most < 1:
            raise ValueError(f"a limit lets at least 1 in, got {most}")
        self._most = most
        self._inside = 0
        self._queue: deque[tuple[asyncio.Future[None], int]] = deque()
        self._on_change = on_change

    @property
    def waiting(self) -> int:
        """Pieces of work outside."""
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether work that comes now might enter at once."""
        return not self._queue and self._inside < self._most

    @asynccontextmanager
    async def enter(self, weight: int) -> AsyncIterator[Callable[[], None]]:
        """Inside for the length of the block. What it yields, called once or more, gives 1 back early."""
        await self._wait(weight)
        left = weight

        def give_back() -> None:
            nonlocal left
            if left > 0:
                left -= 1
                self._release(1)

        try:
            yield give_back
        finally:
            self._release(left)
            left = 0

    async def _wait(self, weight: int) -> None:
        if not self._queue and self._fits(weight):
            self._inside += weight
            self._on_change()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (turn, weight)
        self._queue.append(entry)
        self._on_change()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._release(weight)  # it was let in and is not coming
            else:
                self._queue.remove(entry)
                self._admit()
            raise

    def _fits(self, weight: int) -> bool:
        return self._inside == 0 or self._inside + weight <= self._most

    def _release(self, weight: int) -> None:
        self._inside -= weight
        self._admit()
        self._on_change()

    def _admit(self) -> None:
        while self._queue and self._fits(self._queue[0][1]):
            turn, weight = self._queue.popleft()
            if not turn.done():
                self._inside += weight
                turn.set_result(None)
