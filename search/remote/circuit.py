"""A circuit: after several failures in a row a server is left alone for a while, then tried by one.

Closed: requests pass. Open: nobody asks until ``rest`` seconds have passed. Half open: one request is
let through; its success closes the circuit, its failure opens it again.

    >>> circuit = Circuit(failures=2, rest=5.0, clock=iter([0.0, 1.0, 2.0, 6.5, 7.0]).__next__)
    >>> circuit.failed(); circuit.failed()   # the second one, at 0.0, opens it
    >>> circuit.wait(), circuit.wait()       # at 1.0 and 2.0: seconds until somebody may try
    (4.0, 3.0)
    >>> circuit.wait(), circuit.wait()       # at 6.5 one may pass; at 7.0 the others still wait
    (0.0, 4.5)
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Circuit"]


class Circuit:
    """Of one server. Used on one event loop.

    Parameters
    ----------
    failures:
        Failures in a row that open it.
    rest:
        Seconds that it stays open.
    clock:
        Seconds, monotonic.
    """

    def __init__(
        self, failures: int = 8, rest: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if failures < 1:
            raise ValueError(f"failures must be at least 1, got {failures}")
        if not rest > 0.0:
            raise ValueError(f"rest must be positive, got {rest}")
        self._most, self._rest, self._clock = failures, rest, clock
        self._failures = 0
        self._until: float | None = None
        #: what the last failure was, where that was told
        self.cause = ""

    @property
    def is_open(self) -> bool:
        """Whether the last requests failed and none has succeeded since."""
        return self._until is not None

    def wait(self) -> float:
        """Seconds until the caller may ask; 0.0 lets it pass (and holds the others back, when open)."""
        if self._until is None:
            return 0.0
        now = self._clock()
        if now < self._until:
            return self._until - now
        self._until = now + self._rest  # this one tries; unless it is heard of, the next one in a while
        return 0.0

    def succeeded(self) -> None:
        """The server answered."""
        self._failures, self._until, self.cause = 0, None, ""

    def busy(self, cause: str) -> None:
        """The server said when it takes work again: told, and not counted."""
        self.cause = cause

    def failed(self, cause: str = "") -> None:
        """The server could not be reached, took no work or broke off."""
        self._failures += 1
        self.cause = cause or self.cause
        if self._failures >= self._most:
            self._until = self._clock() + self._rest
