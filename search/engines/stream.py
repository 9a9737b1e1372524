"""The events of one request on their way from a worker's thread to the loop that waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from search.engines.protocol import Event, RequestFinished
from search.errors import EngineError

__all__ = ["Arrivals", "EventStream", "deliver"]

Arrivals = asyncio.Queue[Event | EngineError]


class EventStream(AsyncIterator[Event]):
    """Events as they arrive. Leaving it early, or forgetting it, calls ``leave`` once."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._done = False
        self.arrived: Arrivals = asyncio.Queue()

    async def __anext__(self) -> Event:
        if self._done:
            raise StopAsyncIteration
        event = await self.arrived.get()
        if isinstance(event, EngineError):
            self._done = True
            raise event
        self._done = isinstance(event, RequestFinished)
        return event

    async def aclose(self) -> None:
        """Cancel what has not ended."""
        self._end()

    def __del__(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self._done:
            self._done = True
            self._leave()


def deliver(loop: asyncio.AbstractEventLoop, arrived: Sequence[tuple[Arrivals, Event | EngineError]]) -> None:
    """Put events into their queues, on the loop that waits for them. From any thread."""

    def put() -> None:
        for waiting, event in arrived:
            waiting.put_nowait(event)

    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(put)
        except RuntimeError:  # the loop closed in between: nobody listens
            return
