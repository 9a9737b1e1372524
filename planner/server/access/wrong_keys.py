"""Wrong keys: requests with a key that nobody has. They are counted, logged now and then, and slowed.

Each address is slowed by itself, and only its wrong keys are: a right one behind the same proxy is let in at
once. The log holds no key.

    >>> wrong = WrongKeys()
    >>> [wrong.pause("10.0.0.9") for _ in range(6)]
    [0.0, 0.0, 0.0, 0.1, 0.2, 0.4]
    >>> wrong.pause("10.0.0.8"), wrong.count
    (0.0, 7)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from planner.server.refusal import busy

__all__ = ["WrongKeys"]

_LOGGER = logging.getLogger("planner.server")

#: wrong keys of an address that are free, the first pause after them, and the longest; each is twice the last
_FREE, _FIRST, _LONGEST = 3, 0.1, 2.0

#: addresses that are remembered, and requests that are held back at a time: beyond them nobody is
_MOST_ADDRESSES, _MOST_HELD = 4096, 256


class WrongKeys:
    """Of one server. Used on one event loop.

    Parameters
    ----------
    interval:
        Seconds between two lines in the log, and after which an address starts anew.
    clock, sleep:
        Seconds, monotonic; what waits so many.
    """

    def __init__(
        self,
        interval: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.count = 0
        self._interval, self._clock, self._sleep = interval, clock, sleep
        self._addresses: OrderedDict[str, tuple[int, float]] = OrderedDict()  # wrong keys, and since when
        self._said: float | None = None
        self._unsaid = 0
        self._held = 0

    async def met(self, address: str) -> None:
        """A wrong key came from an address: wait as long as it has to. Raises Refusal (429) where too many
        wait already."""
        seconds = self.pause(address)
        if not seconds:
            return
        if self._held >= _MOST_HELD:
            raise busy("wrong keys must be few, got too many at a time", _LONGEST, "wrong_keys")
        self._held += 1
        try:
            await self._sleep(seconds)
        finally:
            self._held -= 1

    def pause(self, address: str) -> float:
        """Count a wrong key; the seconds that its request has to wait."""
        now = self._clock()
        self.count += 1
        self._say(now)
        tries, since = self._addresses.pop(address, (0, now))
        if now - since >= self._interval:
            tries, since = 0, now
        self._addresses[address] = tries + 1, since
        if len(self._addresses) > _MOST_ADDRESSES:
            self._addresses.popitem(last=False)
        return 0.0 if tries < _FREE else min(_LONGEST, _FIRST * 2.0 ** (tries - _FREE))

    def _say(self, now: float) -> None:
        """A line in the log for the first one, and at most one an interval for those that follow."""
        self._unsaid += 1
        if self._said is not None and now - self._said < self._interval:
            return
        _LOGGER.warning(
            "an API key must be known, got %d wrong since the last line of this kind (%d in all)",
            self._unsaid,
            self.count,
        )
        self._said, self._unsaid = now, 0
