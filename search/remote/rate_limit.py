"""Limits how many requests a minute are sent to one server.

Requests are let through one by one, evenly: each books the next free moment. After an idle while a tenth of a
minute's requests may come at once.

    >>> limit = RateLimit(60.0, clock=iter([0.0, 0.0, 0.0]).__next__)
    >>> [limit.book() for _ in range(3)]
    [0.0, 0.0, 0.0]
    >>> limit = RateLimit(6.0, clock=iter([0.0, 0.0, 25.0]).__next__)
    >>> [limit.book() for _ in range(3)]
    [0.0, 10.0, 0.0]
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

__all__ = ["RateLimit"]

#: seconds whose requests may come at once
_BURST = 6.0


class RateLimit:
    """The limit of one server.

    Parameters
    ----------
    rate:
        Requests a minute; None lets everything through.
    clock:
        Seconds, monotonic.

    Raises ValueError for a rate that is not positive.
    """

    def __init__(self, rate: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        if rate is not None and not (rate > 0.0 and math.isfinite(rate)):
            raise ValueError(f"rate must be positive, got {rate}")
        self._gap = None if rate is None else 60.0 / rate
        self._clock = clock
        self._next = -math.inf

    def book(self) -> float:
        """Seconds to wait before the request that asks."""
        if self._gap is None:
            return 0.0
        now = self._clock()
        moment = max(self._next, now - max(0.0, _BURST - self._gap))
        self._next = moment + self._gap
        return max(0.0, moment - now)

    async def enter(self) -> None:
        """Wait for one's turn."""
        seconds = self.book()
        if seconds > 0.0:
            await asyncio.sleep(seconds)
