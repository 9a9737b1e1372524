"""The tries of one request: how long it has waited for a server, how often its answer broke off."""

from __future__ import annotations

import asyncio
import time
from random import Random

from search.errors import BrokenError, UnreachableError
from search.remote.circuit import Circuit
from search.remote.retry import Retry

__all__ = ["Tries"]


class Tries:
    """Made anew for each request; shares the circuit of its server with the others."""

    def __init__(self, retry: Retry, circuit: Circuit, rng: Random) -> None:
        self._retry, self._circuit, self._rng = retry, circuit, rng
        self._since: float | None = None  # when the server was first found unreachable
        self._failed = 0
        self._breaks = 0
        self._last: UnreachableError | None = None

    async def enter(self) -> None:
        """Pass the circuit, waiting for it within the patience. Raises UnreachableError."""
        while (seconds := self._check()) > 0.0:
            await asyncio.sleep(seconds)

    def succeeded(self) -> None:
        """The server answers: patience is whole again."""
        self._circuit.succeeded()
        self._since, self._failed, self._last = None, 0, None

    def broke(self, error: BrokenError) -> None:
        """The answer broke off, and will not be asked for again here."""
        self._circuit.failed(str(error))

    def pause(self, error: UnreachableError | BrokenError) -> float:
        """Seconds to wait before the next try. Raises the error when there is to be none."""
        if isinstance(error, BrokenError):
            self.broke(error)
            self._breaks += 1
            if self._breaks > self._retry.breaks:
                raise error
            return self._retry.delay(self._breaks - 1, self._rng)
        if error.retry_after is None:  # a server that says when is busy, not ill
            self._circuit.failed(str(error))
        else:
            self._circuit.busy(str(error))
        seconds = self._retry.delay(self._failed, self._rng, error.retry_after)
        self._failed += 1
        self._last = error
        if seconds > self._left():
            raise error
        return seconds

    def _check(self) -> float:
        seconds = self._circuit.wait()
        if seconds > 0.0 and seconds > self._left():
            cause = f" after: {self._circuit.cause}" if self._circuit.cause else ""
            early = f"a request {seconds:.1f} s too early{cause}"
            raise self._last or UnreachableError(
                f"a server that failed is left alone for a while, got {early}"
            )
        return seconds

    def _left(self) -> float:
        """Seconds of patience that are left; the first call of a streak starts the clock."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return self._retry.patience - (now - self._since)
