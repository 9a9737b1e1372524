"""Limits of keys: so many requests and tokens a minute, so many dollars and tokens a day (UTC).

Rates are leaky buckets that hold one minute's worth. Requests are taken before the work, tokens after it,
since nobody knows before what it will cost: a key may overdraw by one request's budget and then waits until
it has made good for that.

Limits of a day are hard. What a request may spend is held before its work and settled after it, so that no
limit is passed however many requests run at once. Requests of keys without limits are counted too.

Several processes of one server share their buckets and accounts (``planner.server.workers.levels``).

>>> account = DayAccount()
>>> account.hold(limit=100.0, least=10.0, most=80.0), account.hold(limit=100.0, least=10.0, most=80.0)
(80.0, 20.0)
>>> account.settle(0, held=80.0, spent=30.0)
>>> account.hold(limit=100.0, least=60.0, most=80.0) is None
True
>>> account.turn(1)
>>> account.spent, account.held
(0.0, 0.0)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from planner.server.access.keys import Key
from planner.server.refusal import Refusal, busy
from search.budget import UNLIMITED, Budget, Prices
from search.errors import ServeError

__all__ = [
    "DAY",
    "Amount",
    "DayAccount",
    "Held",
    "Level",
    "Levels",
    "OwnLevels",
    "Rates",
    "Spending",
    "check_limits",
    "day_of",
    "seconds_left",
]

#: seconds
DAY = 86_400.0

#: what a request that nothing else limits may hold: a part of what is free, but room for so many answers
_PART, _ANSWERS = 8, 16


def day_of(seconds: float) -> int:
    """The day of a moment, in seconds since the epoch: the days since then.

    >>> day_of(86_399.0), day_of(86_400.0)
    (0, 1)
    """
    return int(seconds // DAY)


def seconds_left(seconds: float) -> float:
    """From a moment, in seconds since the epoch, to the end of its day.

    >>> seconds_left(86_399.0)
    1.0
    """
    return DAY - seconds % DAY


class DayAccount:
    """Spent and held, both of ``day``. ``spent`` and ``held`` together never pass a limit by ``hold``."""

    __slots__ = ("day", "held", "spent")

    def __init__(self, day: int = 0, spent: float = 0.0, held: float = 0.0) -> None:
        self.day, self.spent, self.held = day, spent, held

    def __enter__(self) -> Self:
        """An account of this process, which nobody else has meanwhile."""
        return self

    def __exit__(self, *_: object) -> None:
        """It is kept as it is."""

    def turn(self, day: int) -> None:
        """Begin anew where that is a later day. A clock that runs behind changes nothing."""
        if day > self.day:
            self.day, self.spent, self.held = day, 0.0, 0.0

    def hold(self, *, limit: float, least: float, most: float) -> float | None:
        """Hold as much as is free, at most ``most``; None where that is less than ``least``.

        An infinite ``most`` stands for a part of what is free, so that others find something too.
        """
        free = limit - self.spent - self.held
        if free < least or free <= 0.0:
            return None
        if most == float("inf"):
            most = max(free / _PART, least * _ANSWERS)
        got = min(free, max(least, most))
        self.held += got
        return got

    def settle(self, day: int, *, held: float, spent: float) -> None:
        """Give back what was held on a day, and charge what was spent.

        It belongs to the day on which it was held: once that is over, there is nothing to do.
        """
        self.turn(day)
        if day == self.day:
            self.held = max(0.0, self.held - held)
            self.spent += spent

    def seed(self, day: int, spent: float) -> None:
        """That much was spent at least: known from elsewhere."""
        self.turn(day)
        if day == self.day:
            self.spent = max(self.spent, spent)


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
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = DayAccount()
        return account


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


#: seconds after which a request that only others stand in the way of may try again
_SOON = 1.0


@dataclass(frozen=True, slots=True)
class Amount:
    """Logical tokens of policies and PRMs, and US dollars. Infinite: nobody knows."""

    tokens: float = 0.0
    usd: float = 0.0


#: of a key without limits
_NOTHING = Amount()


class Held:
    """What a request may spend, until it is settled, once. Made by ``Spending.hold``."""

    __slots__ = ("_amount", "_day", "_is_open", "_key", "_levels")

    def __init__(self, key: Key, day: int, amount: Amount, levels: Levels) -> None:
        self._key, self._day, self._amount, self._levels = key, day, amount, levels
        self._is_open = True

    @property
    def cap(self) -> Budget:
        """The caps that keep a request within it; those without a limit are left out."""
        if not self._key.is_limited:
            return UNLIMITED
        tokens = None if math.isinf(self._key.tokens_per_day) else int(self._amount.tokens)
        usd = None if math.isinf(self._key.usd_per_day) else self._amount.usd
        return UNLIMITED if tokens is None and usd is None else Budget(tokens=tokens, usd=usd)

    def settle(self, tokens: int, usd: float | None) -> None:
        """The request has ended and took this much; ``usd`` None: nobody knows, so what is held is spent."""
        if not self._is_open:
            return
        self._is_open = False
        money = self._amount.usd if usd is None and tokens else usd or 0.0
        for unit, held, spent in (("tokens", self._amount.tokens, tokens), ("usd", self._amount.usd, money)):
            with self._levels.account(_account(unit, self._key.name)) as account:
                account.settle(self._day, held=held, spent=spent)


class Spending:
    """What the keys spend on a day. ``clock`` in seconds since the epoch; ``levels``: where that is kept."""

    def __init__(self, clock: Callable[[], float] = time.time, levels: Levels | None = None) -> None:
        self._clock = clock
        self._levels = levels or OwnLevels()

    def hold(self, key: Key, least: Amount = _NOTHING, most: Amount = _NOTHING) -> Held:
        """Hold up to ``most`` of what is left of the key's limits, at least ``least``.

        Raises Refusal (429): until midnight where less is left, for a moment where other requests hold it.
        """
        day = day_of(self._clock())
        if not key.is_limited:
            return Held(key, day, _NOTHING, self._levels)
        tokens, day = self._hold(key, "tokens", key.tokens_per_day, least.tokens, most.tokens, day)
        try:
            usd, _ = self._hold(key, "usd", key.usd_per_day, least.usd, most.usd, day)
        except Refusal:
            Held(key, day, Amount(tokens), self._levels).settle(0, 0.0)
            raise
        return Held(key, day, Amount(tokens, usd), self._levels)

    def today(self, name: str) -> Amount:
        """What a key has spent today, without what is held."""
        day = day_of(self._clock())
        spent = {}
        for unit in ("tokens", "usd"):
            with self._levels.account(_account(unit, name)) as account:
                account.turn(day)
                spent[unit] = account.spent
        return Amount(**spent)

    @property
    def since(self) -> float:
        """When today began, in seconds since the epoch."""
        now = self._clock()
        return now + seconds_left(now) - DAY

    def seed(self, spent: Mapping[str, Amount]) -> None:
        """What keys, by name, have spent today at least: read from a log, by each process that starts."""
        day = day_of(self._clock())
        for name, amount in spent.items():
            for unit, value in (("tokens", amount.tokens), ("usd", amount.usd)):
                with self._levels.account(_account(unit, name)) as account:
                    account.seed(day, value)

    def _hold(
        self, key: Key, unit: str, limit: float, least: float, most: float, day: int
    ) -> tuple[float, int]:
        """What is held of one limit, and the day that counts for it."""
        with self._levels.account(_account(unit, key.name)) as account:
            account.turn(day)
            if math.isinf(limit):
                return 0.0, account.day
            got = account.hold(limit=limit, least=least, most=most)
            spent, day = account.spent, account.day
        if got is not None:
            return got, day
        if limit - spent < least or limit <= spent:
            raise Refusal(
                f"a key spends at most {limit:g} {_WORDS[unit]} a day (UTC), got {key.name!r} with"
                f" {max(0.0, limit - spent):g} left and an answer that may take {least:g}",
                429,
                code="spend_limit",
                retry_after=seconds_left(self._clock()),
                is_final=True,
            )
        raise Refusal(
            f"a key spends at most {limit:g} {_WORDS[unit]} a day (UTC), got {key.name!r} whose other"
            f" requests may take the {limit - spent:g} that are left",
            429,
            code="spend_limit",
            retry_after=_SOON,
        )


_WORDS = {"tokens": "tokens", "usd": "US dollars"}


def _account(unit: str, name: str) -> str:
    return f"{unit}_per_day/{name}"


def check_limits(keys: Iterable[Key], prices: Mapping[str, Prices] | Prices | None) -> None:
    """Raise ServeError for a limit in money where no price is known."""
    if prices is None:
        for key in keys:
            if not math.isinf(key.usd_per_day):
                raise ServeError(f"usd_per_day of a key needs the server's prices, got none for {key.name!r}")
