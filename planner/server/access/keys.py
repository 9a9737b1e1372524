"""API keys: who may do what, and how much. Only hashes are kept.

A key file is TOML:

    [keys.alice]
    sha256 = "..."                  # planner serve --new-key alice prints these lines
    scopes = ["infer", "feedback"]  # default; admin also reloads and reads decisions
    requests_per_minute = 60        # optional
    tokens_per_minute = 200000      # optional
    usd_per_day = 5.0               # optional: hard limits for a day (UTC)
    tokens_per_day = 2000000        # optional

The file is read again on SIGHUP and by ``POST /admin/reload``: a key that is gone from it is worth nothing
from then on.

SHA-256 without salt is enough for keys that are drawn at random (``new_key``: 256 bits), which
cannot be guessed from a hash; keys shorter than 16 characters are refused for that reason.

Wrong keys are counted, logged now and then, and slowed. Each address is slowed by itself, and only its wrong
keys are: a right one behind the same proxy is let in at once. The log holds no key.

    >>> wrong = WrongKeys()
    >>> [wrong.pause("10.0.0.9") for _ in range(6)]
    [0.0, 0.0, 0.0, 0.1, 0.2, 0.4]
    >>> wrong.pause("10.0.0.8"), wrong.count
    (0.0, 7)
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import secrets
import time
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cachetools import TTLCache

from planner.server.refusal import Refusal, busy
from search.errors import ServeError

__all__ = [
    "ANYONE",
    "Key",
    "Keys",
    "Scope",
    "WrongKeyError",
    "WrongKeys",
    "new_key",
]

_SHORTEST = 16

#: fields that limit what a key takes
_LIMITS = ("requests_per_minute", "tokens_per_minute", "usd_per_day", "tokens_per_day")


class Scope(StrEnum):
    """What a key may do."""

    INFER = "infer"  # ask, plan, list models
    FEEDBACK = "feedback"  # tell outcomes
    ADMIN = "admin"  # reload, read decisions, metrics


@dataclass(frozen=True, slots=True)
class Key:
    """A key's name and rights. ``sha256`` is the hash of the secret, in hexadecimal."""

    name: str
    sha256: str
    scopes: frozenset[Scope] = frozenset({Scope.INFER, Scope.FEEDBACK})
    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    usd_per_day: float = math.inf
    tokens_per_day: float = math.inf

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name or len(self.name) > 64:
            raise ServeError(f"a key's name has 1 to 64 printable characters, got {self.name!r}")
        if len(self.sha256) != 64 or any(c not in "0123456789abcdef" for c in self.sha256):
            raise ServeError(
                f"sha256 must be 64 hexadecimal digits in lower case, got another in {self.name!r}"
            )
        for what in _LIMITS:
            if not getattr(self, what) > 0:
                raise ServeError(f"{what} must be above 0, got {getattr(self, what)} in {self.name!r}")

    @property
    def is_limited(self) -> bool:
        """Whether it has a limit for a day."""
        return min(self.usd_per_day, self.tokens_per_day) < math.inf

    @classmethod
    def of(cls, name: str, secret: str, scopes: Iterable[Scope] = tuple(Scope)) -> Key:
        """The key of a secret. Raises ServeError for a secret that is too short."""
        if len(secret) < _SHORTEST:
            raise ServeError(f"a key has at least {_SHORTEST} characters, got {len(secret)} in {name!r}")
        return cls(name, _hash(secret), frozenset(scopes))


#: who asks where no keys are set up: a loopback server for one person
ANYONE = Key("anyone", "0" * 64, frozenset(Scope))


class WrongKeyError(Refusal):
    """A request brings a key that nobody has."""


class Keys:
    """All keys of a server. Without any, everybody may do everything, unless ``needed``: then nobody may.

    ``reread`` reads those of a file again, for keys that have come or gone.
    """

    def __init__(self, keys: Iterable[Key] = (), *, needed: bool = False) -> None:
        self._keys = tuple(keys)
        self._needed = needed or bool(self._keys)
        self._source: tuple[Path | None, str | None] | None = None
        names = [key.name for key in self._keys]
        if len(set(names)) < len(names):
            raise ServeError(f"key names must differ, got {', '.join(sorted(names))}")

    @classmethod
    def read(cls, path: str | Path | None = None, secret: str | None = None) -> Keys:
        """Keys of a file, and one with all scopes from ``secret`` (an environment variable's value).

        Raises ServeError for a file that breaks a rule or holds no key, OSError for one that cannot be read.
        """
        found = cls._read(None if path is None else Path(path), secret)
        if path is not None and not len(found):
            raise ServeError(f"a key file holds at least one key, got none in {str(path)!r}")
        return found

    def reread(self) -> Keys:
        """The keys as they are now, where these came from; these themselves where nothing was read.

        A file without any key left lets nobody in. Raises as ``read``.
        """
        return self if self._source is None else self._read(*self._source, needed=self._needed)

    @classmethod
    def _read(cls, path: Path | None, secret: str | None, *, needed: bool = False) -> Keys:
        keys = [] if path is None else _parse(path)
        if secret:
            keys.append(Key.of("environment", secret))
        found = cls(keys, needed=needed)
        found._source = path, secret
        return found

    def __bool__(self) -> bool:
        return self._needed

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def named(self, name: str) -> Key | None:
        """The key of that name, if there is one."""
        return next((key for key in self._keys if key.name == name), None)

    def who(self, authorization: str | None, scope: Scope) -> Key:
        """The key of an ``Authorization`` header.

        Raises Refusal: 401 without one, WrongKeyError (401) for a wrong one, 403 without the scope. Every
        kept hash is compared in constant time, whether or not one has matched.
        """
        if not self._needed:
            return ANYONE
        kind, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        if kind.lower() != "bearer" or not secret:
            raise Refusal("an API key must be known, got none", 401, code="invalid_api_key")
        given = _hash(secret)
        found: Key | None = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, given):
                found = key
        if found is None:
            raise WrongKeyError("an API key must be known, got another", 401, code="invalid_api_key")
        if scope not in found.scopes:
            raise Refusal(f"this needs the scope {scope}, got a key without it", 403, code="missing_scope")
        return found


def new_key(name: str) -> tuple[str, str]:
    """A fresh secret, and the lines of a key file for it."""
    secret = f"pk-{secrets.token_urlsafe(32)}"
    key = Key(name, _hash(secret))
    scopes = ", ".join(f'"{scope}"' for scope in sorted(key.scopes))
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return secret, f'[keys."{quoted}"]\nsha256 = "{key.sha256}"\nscopes = [{scopes}]\n'


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _parse(path: Path) -> list[Key]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("keys", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ServeError(f"a key file is TOML, got {str(path)!r}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(fields, dict) for fields in found.values()):
        raise ServeError(f"a key file holds tables [keys.NAME], got others in {str(path)!r}")
    return [_key(name, fields) for name, fields in found.items()]


def _key(name: str, fields: Mapping[str, Any]) -> Key:
    known = {"sha256", "scopes", *_LIMITS}
    if fields.keys() - known:
        raise ServeError(
            f"a key has the fields {', '.join(sorted(known))}, got {sorted(fields.keys() - known)}"
        )
    if not isinstance(fields.get("sha256"), str):
        raise ServeError(f"a key needs its sha256, got none in {name!r}")
    try:
        scopes = frozenset(Scope(scope) for scope in fields.get("scopes", ("infer", "feedback")))
    except (ValueError, TypeError):
        raise ServeError(
            f"scopes are among {', '.join(Scope)}, got {fields['scopes']!r} in {name!r}"
        ) from None
    rates = {}
    for what in _LIMITS:
        value = fields.get(what, math.inf)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ServeError(f"{what} is a number, got {value!r} in {name!r}")
        rates[what] = float(value)
    return Key(name, fields["sha256"], scopes, **rates)


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
        # a count of one number, which is kept for an interval from the first
        self._addresses: TTLCache[str, list[int]] = TTLCache(_MOST_ADDRESSES, interval, clock)
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
        counted = self._addresses.get(address)
        if counted is None:
            counted = self._addresses[address] = [0]
        tries, counted[0] = counted[0], counted[0] + 1
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
