"""Hard limits of keys: so many dollars and so many tokens a day (UTC).

What a request may spend is held before its work and settled after it, so that no limit is passed however many
requests run at once. Requests of keys without limits are counted too. Several processes of one server share
their accounts (``planner.server.workers.levels``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from planner.server.access.day import DAY, day_of, seconds_left
from planner.server.access.keys import Key
from planner.server.access.rates import Levels, OwnLevels
from planner.server.refusal import Refusal
from search.budget import UNLIMITED, Budget, Prices
from search.errors import ServeError

__all__ = ["Amount", "Held", "Spending", "check_limits"]

#: seconds after which a request that only others stand in the way of may try again
_SOON = 1.0


@dataclass(frozen=True, slots=True)
class Amount:
    """Logical tokens of policies and PRMs, and US dollars. Infinite: nobody knows."""

    tokens: float = 0.0
    usd: float = 0.0


class Held:
    """What a request may spend, until it is settled, once. Made by ``Spending.hold``."""

    def __init__(self, key: Key, day: int, amount: Amount, levels: Levels) -> None:
        self._key, self._day, self._amount, self._levels = key, day, amount, levels
        self._is_open = True

    @property
    def cap(self) -> Budget:
        """The caps that keep a request within it; those without a limit are left out."""
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

    def hold(self, key: Key, least: Amount, most: Amount) -> Held:
        """Hold up to ``most`` of what is left of the key's limits, at least ``least``.

        Raises Refusal (429): until midnight where less is left, for a moment where other requests hold it.
        """
        day = day_of(self._clock())
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
