"""Rates per key: so many requests and so many spent tokens a minute.

Leaky buckets that hold one minute's worth. Requests are taken before the work, tokens after it, since nobody
knows before what it will cost: a key may overdraw by one request's budget and then waits until it has
made good for that. Several processes of one server share their buckets (``planner.server.workers.levels``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from planner.server.access.day import DayAccount
from planner.server.access.keys import Key
from planner.server.refusal import busy

__all__ = ["Level", "Levels", "OwnLevels", "Rates"]

#: what a bucket holds: this many seconds' worth
_SECONDS = 60.0


class Level:
    """A bucket: what it is filled with a second, what is left in it, and since when."""

    __slots__ = ("at", "left", "rate")

    def __init__(self, rate: float, left: float, at: float) -> None:
        self.rate, self.left, self.at = rate, left, at

    @classmethod
    def full(cls, rate: float, now: float) -> Level:
        """A new one."""
        return cls(rate, max(1.0, rate * _SECONDS), now)

    def take(self, now: float, need: float, amount: float) -> float:
        """Fill it up to now, and take ``amount`` where ``need`` is there; else the seconds until it is."""
        self.left = min(max(1.0, self.rate * _SECONDS), self.left + max(0.0, now - self.at) * self.rate)
        self.at = max(self.at, now)
        if self.left < need:
            return (need - self.left) / self.rate
        self.left -= amount
        return 0.0


class Levels(Protocol):
    """Buckets by name."""

    def take(self, name: str, rate: float, now: float, *, need: float, amount: float) -> float:
        """As ``Level.take``; a bucket that is not there yet, or had another rate, is full."""

    def account(self, name: str) -> AbstractContextManager[DayAccount]:
        """The account of that name, empty at first, for nobody else meanwhile; kept as it is left."""


class OwnLevels:
    """Buckets of this process."""

    def __init__(self) -> None:
        self._levels: dict[str, Level] = {}
        self._accounts: dict[str, DayAccount] = {}

    def take(self, name: str, rate: float, now: float, *, need: float, amount: float) -> float:
        level = self._levels.get(name)
        if level is None or level.rate != rate:
            level = self._levels[name] = Level.full(rate, now)
        return level.take(now, need, amount)

    def account(self, name: str) -> AbstractContextManager[DayAccount]:
        return nullcontext(self._accounts.setdefault(name, DayAccount()))


class Rates:
    """What the keys have used. ``clock`` in seconds, monotonic; ``levels``: where that is kept."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, levels: Levels | None = None) -> None:
        self._clock = clock
        self._levels = levels or OwnLevels()

    def enter(self, key: Key) -> None:
        """Take one request. Raises Refusal (429, with the seconds to wait) beyond a key's rate."""
        if wait := self._take("tokens", key, key.tokens_per_minute, 1.0, 0.0):
            raise busy(
                f"a key spends at most {key.tokens_per_minute:g} tokens a minute, got {key.name!r} beyond it",
                wait,
                "tokens_per_minute",
            )
        if wait := self._take("requests", key, key.requests_per_minute, 1.0, 1.0):
            raise busy(
                f"a key asks {key.requests_per_minute:g} times a minute at most, got {key.name!r} beyond",
                wait,
                "requests_per_minute",
            )

    def spent(self, key: Key, tokens: int) -> None:
        """Charge tokens that a request took."""
        self._take("tokens", key, key.tokens_per_minute, -math.inf, tokens)

    def _take(self, kind: str, key: Key, per_minute: float, need: float, amount: float) -> float:
        if math.isinf(per_minute):
            return 0.0
        return self._levels.take(
            f"{kind}/{key.name}", per_minute / 60.0, self._clock(), need=need, amount=amount
        )
