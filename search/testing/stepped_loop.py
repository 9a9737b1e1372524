"""An event loop whose time passes by what it does, not by the clock on the wall.

Deadlines in tests then fall where the test puts them, however busy the machine is.

    >>> import asyncio
    >>> async def late() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> stepped(late()) >= 3600
    True
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from search.budget import Budget
from search.ledger import Ledger
from search.strategies.protocol import Setting

__all__ = ["STEP", "SteppedLoop", "stepped", "stepped_ledger"]

T = TypeVar("T")

#: seconds that one turn of the loop takes
STEP = 0.001


class _Steps(selectors.DefaultSelector):
    """Moves the time instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """What is ready. Where nothing is and a timer runs, the time moves on to that timer."""
        if timeout is None:  # only a thread or another process can go on
            return super().select()
        found = super().select(0)
        self.now += STEP if found else max(timeout, STEP)
        return found


class SteppedLoop(asyncio.SelectorEventLoop):
    """``time`` begins at 0. A turn takes ``STEP`` seconds; where all wait, the next timer is due at once.

    Work on threads or in other processes takes no time of this loop, and a timer does not wait for it.
    """

    def __init__(self) -> None:
        self._steps = _Steps()
        super().__init__(self._steps)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._steps.now


def stepped(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on a loop of its own whose time is stepped."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(work)


def stepped_ledger(setting: Setting, budget: Budget, **more: Any) -> Ledger:
    """A ledger that counts the seconds of the running loop. ``more``: what else ``Ledger`` takes."""
    prm = None if setting.reward is None else setting.reward.card
    return Ledger(budget, setting.engine.card, prm, clock=asyncio.get_running_loop().time, **more)
