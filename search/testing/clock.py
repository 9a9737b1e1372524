"""A clock that a test moves by hand, for whatever takes ``clock: Callable[[], float]``.

>>> clock = Clock()
>>> clock.now += 90.0
>>> clock()
90.0
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Clock"]


@dataclass
class Clock:
    """``now`` is in seconds; calling the clock tells it."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now
