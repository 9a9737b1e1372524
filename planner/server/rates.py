"""Rates per key: so many requests and so many spent tokens a minute.

Leaky buckets that hold one minute's worth. Requests are taken before the work, tokens after it, since nobody
knows before what it will cost: a key may overdraw by one request's budget and then waits until it has
made good for that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from planner.server.keys import Key
from planner.server.refusal import busy

__all__ = ["Rates"]


@dataclass(slots=True)
class _Bucket:
    per_second: float
    size: float
    left: float
    at: float

    def fill(self, now: float) -> None:
        self.left = min(self.size, self.left + (now - self.at) * self.per_second)
        self.at = now

    def wait(self, need: float) -> float:
        """Seconds until ``need`` is there."""
        return max(0.0, need - self.left) / self.per_second


class Rates:
    """What the keys have used. ``clock`` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: dict[str, _Bucket] = {}
        self._tokens: dict[str, _Bucket] = {}

    def enter(self, key: Key) -> None:
        """Take one request. Raises Refusal (429, with the seconds to wait) beyond a key's rate."""
        requests = self._bucket(self._requests, key, key.requests_per_minute)
        tokens = self._bucket(self._tokens, key, key.tokens_per_minute)
        if tokens is not None and (wait := tokens.wait(1.0)):
            raise busy(
                f"a key spends at most {key.tokens_per_minute:g} tokens a minute, got {key.name!r} beyond it",
                wait,
                "tokens_per_minute",
            )
        if requests is not None:
            if wait := requests.wait(1.0):
                raise busy(
                    f"a key asks {key.requests_per_minute:g} times a minute at most, got {key.name!r} beyond",
                    wait,
                    "requests_per_minute",
                )
            requests.left -= 1.0

    def spent(self, key: Key, tokens: int) -> None:
        """Charge tokens that a request took."""
        bucket = self._bucket(self._tokens, key, key.tokens_per_minute)
        if bucket is not None:
            bucket.left -= tokens

    def _bucket(self, buckets: dict[str, _Bucket], key: Key, per_minute: float) -> _Bucket | None:
        if math.isinf(per_minute):
            return None
        now = self._clock()
        bucket = buckets.get(key.name)
        if bucket is None or bucket.per_second != per_minute / 60:
            size = max(1.0, per_minute)
            bucket = buckets[key.name] = _Bucket(per_second=per_minute / 60, size=size, left=size, at=now)
        bucket.fill(now)
        return bucket
