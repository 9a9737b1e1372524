"""When the request that is worked on arrived, and who wants to know when its answer had left.

A client's deadline counts from when it asked to when it has the answer, so the time before any work (reading,
checking) and after it (writing the answer) belongs to it as well. The middleware, through which every request
comes, begins an arrival and ends it; whoever works on the request finds it by ``Arrival.now``.

    >>> arrival = Arrival(iter([1.0, 1.2, 1.5]).__next__)
    >>> told: list[float] = []
    >>> arrival.then(lambda seconds: told.append(round(seconds, 1)))
    >>> round(arrival.seconds, 1), arrival.left(), told
    (0.2, None, [0.5])
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar

__all__ = ["Arrival"]


class Arrival:
    """One request's. ``clock`` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self._hearers: list[Callable[[float], None]] = []

    @classmethod
    def begin(cls) -> Arrival:
        """A request arrives; what its task does from now on finds it."""
        arrival = cls()
        _PRESENT.set(arrival)
        return arrival

    @classmethod
    def now(cls) -> Arrival:
        """That of the present request; one that arrives now where none was begun."""
        return _PRESENT.get() or cls()

    @classmethod
    def after(cls, do: Callable[[], None]) -> None:
        """Do something once the present answer has left; at once where no request was begun."""
        present = _PRESENT.get()
        if present is None:
            do()
        else:
            present.then(lambda _: do())

    @property
    def seconds(self) -> float:
        """Since it arrived."""
        return self._clock() - self._at

    def then(self, hear: Callable[[float], None]) -> None:
        """Have somebody told, once the answer has left, how many seconds that took from the arrival."""
        self._hearers.append(hear)

    def left(self) -> None:
        """The answer has left, or nobody waits for it any more."""
        seconds = self.seconds
        hearers, self._hearers = self._hearers, []
        for hear in hearers:
            hear(seconds)


_PRESENT: ContextVar[Arrival | None] = ContextVar("arrival", default=None)
