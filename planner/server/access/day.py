"""What was spent on one day, and what is held for requests that run. Days are UTC's.

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

__all__ = ["DAY", "DayAccount", "day_of", "seconds_left"]

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
        if day == self.day:
            self.held = max(0.0, self.held - held)
            self.spent += spent

    def seed(self, day: int, spent: float) -> None:
        """That much was spent at least: known from elsewhere."""
        self.turn(day)
        if day == self.day:
            self.spent = max(self.spent, spent)
