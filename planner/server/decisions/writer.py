"""Writes decisions and feedback from a thread of its own, in batches, so that no request waits for a disk.

What happens when the database cannot be written (locked, gone, full): the batch in work is tried again,
after 0.05 s and then ever later up to 1 s, and what comes meanwhile waits in a queue. At the queue's bound
(decisions or bytes) a new decision is dropped and counted in ``state()["lost"]``, and new feedback is
refused to its sender; nothing that waits is given up and no request ever waits. A decision that the
database refuses for what it is (not for its own state) is written alone, dropped and counted in ``refused``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from planner.server.decisions.recorder import Decision, Feedback
from planner.server.decisions.tables import size_of
from search.errors import DecisionLogError

__all__ = ["Sink", "Writer"]

_LOGGER = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
#: the database refuses what was given to it
_POISON = (sa.exc.DataError, sa.exc.IntegrityError, sa.exc.ProgrammingError)


class Sink(Protocol):
    """What the writer writes to (``Store`` does)."""

    def write(self, decisions: Sequence[Decision], feedback: Sequence[Feedback] = ()) -> list[bool]:
        """Add decisions, then feedback, durably; which feedback names a known decision."""
        ...


@dataclass(slots=True, eq=False)
class _Item:
    """What waits: a decision, or feedback with who waits for it."""

    decision: Decision | None
    feedback: Feedback | None
    known: Future[bool] | None
    size: int


class Writer:
    """A thread and its queue. ``put`` and ``tell`` return at once, from any thread.

    Parameters
    ----------
    interval:
        Most seconds that a decision waits for others to be written with. Feedback is written at once.
    batch:
        Most items of one transaction.
    bound, bound_bytes:
        Most items, and most bytes of decisions, that wait.
    tidy:
        Called between batches every ``tidy_every`` seconds, the first time at once, and again as long as it
        returns True (there is more to do).
    """

    def __init__(
        self,
        sink: Sink,
        *,
        interval: float = 0.2,
        batch: int = 500,
        bound: int = 10_000,
        bound_bytes: int = 256 * 2**20,
        tidy: Callable[[], bool] | None = None,
        tidy_every: float = 600.0,
    ) -> None:
        for name, value in (("batch", batch), ("bound", bound), ("bound_bytes", bound_bytes)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0.0 <= interval <= 0.5:
            raise ValueError(f"interval is in [0, 0.5] s: decisions are durable within 1 s, got {interval}")
        self._sink, self._interval, self._batch = sink, interval, batch
        self._bound, self._bound_bytes = bound, bound_bytes
        self._tidy, self._tidy_every, self._tidy_next = tidy, tidy_every, time.monotonic()
        self._changed = threading.Condition()
        self._queue: deque[_Item] = deque()
        self._working: list[_Item] = []
        self._waiting: dict[str, Decision] = {}
        self._bytes = 0
        self._urgent = False
        self._closing: float | None = None  # when to give up
        self._counts = dict.fromkeys(
            ("written", "feedback", "lost", "refused", "retries", "tidy_failures"), 0
        )
        self._error: str | None = None
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    # ---- from outside

    def put(self, decision: Decision) -> bool:
        """Have a decision written. False, and it is lost and counted, at the bound or after ``close``."""
        item = _Item(decision=decision, feedback=None, known=None, size=size_of(decision))
        with self._changed:
            if not self._room(item):
                self._counts["lost"] += 1
                return False
            self._enqueue(item)
            self._waiting[decision.decision_id] = decision
        return True

    def tell(self, feedback: Feedback) -> Future[bool]:
        """Have feedback written; the future ends when it is durable, False for an unknown decision.

        Raises DecisionLogError at the bound or after ``close``.
        """
        item = _Item(decision=None, feedback=feedback, known=Future(), size=0)
        with self._changed:
            if not self._room(item):
                raise DecisionLogError(
                    f"at most {self._bound} decisions wait to be written, got one more: feedback is refused"
                )
            self._enqueue(item)
            self._urgent = True
        assert item.known is not None
        return item.known

    def waiting(self, decision_id: str) -> Decision | None:
        """A decision that is not durable yet."""
        with self._changed:
            return self._waiting.get(decision_id)

    def flush(self, timeout: float) -> bool:
        """Wait until everything put before has been written. False if that takes longer."""
        with self._changed:
            if not self._queue and not self._working:
                return True
            last = (self._queue or self._working)[-1]
            self._urgent = True
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: last not in self._working and last not in self._queue, timeout
            )

    def state(self) -> Mapping[str, Any]:
        """Counts since the start, what waits now, and the class of the error that is being retried."""
        with self._changed:
            return {
                "waiting": len(self._queue) + len(self._working),
                "waiting_bytes": self._bytes,
                **self._counts,
                "error": self._error,
            }

    def close(self, timeout: float = 10.0) -> bool:
        """Write what waits, for at most ``timeout`` seconds, and end. False if something was lost."""
        with self._changed:
            if self._closing is None:
                self._closing = time.monotonic() + timeout
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            return not self._counts["lost"]

    # ---- the thread

    def _room(self, item: _Item) -> bool:
        """Under the lock: whether one more may wait."""
        held = len(self._queue) + len(self._working)
        # one decision alone always fits
        fits = not held or self._bytes + item.size <= self._bound_bytes
        return self._closing is None and held < self._bound and fits

    def _enqueue(self, item: _Item) -> None:
        self._queue.append(item)
        self._bytes += item.size
        # the first wakes the thread, a full batch or feedback ends its wait
        if len(self._queue) == 1 or len(self._queue) >= self._batch or item.feedback is not None:
            self._changed.notify_all()

    def _run(self) -> None:
        while self._next():
            wait = _FIRST_WAIT
            while self._working and not self._attempt():
                with self._changed:
                    self._counts["retries"] += 1
                    left = None if self._closing is None else self._closing - time.monotonic()
                    if left is not None and left <= 0.0:
                        self._give_up()
                        return
                    # a close must not wake this early: it would try without a pause
                    pause = wait if left is None else min(wait, left)
                time.sleep(pause)
                wait = min(2.0 * wait, _LONGEST_WAIT)
            self._do_tidy()

    def _next(self) -> bool:
        """Wait for work and take a batch of it, perhaps none; False when all is done."""
        with self._changed:
            if not self._queue and self._closing is None:
                self._changed.wait(None if self._tidy is None else self._until_tidy())
            if not self._queue:
                return self._closing is None
            self._changed.wait_for(
                lambda: self._urgent or self._closing is not None or len(self._queue) >= self._batch,
                self._interval,
            )
            self._working = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            if not self._queue:
                self._urgent = False
            return True

    def _attempt(self) -> bool:
        """Try to write the batch in work. False where the database cannot be written now."""
        try:
            self._done(self._working, self._write(self._working))
            return True
        except Exception as error:
            if not _poisoned(error):
                return self._failed(error)
        # something in the batch is refused for what it is: each alone
        for item in list(self._working):
            try:
                self._done([item], self._write([item]))
            except Exception as error:
                if not _poisoned(error):
                    return self._failed(error)
                _LOGGER.error("the decision log refuses a record: %s", type(error).__name__)
                self._refused(item, error)
        return True

    def _write(self, items: Sequence[_Item]) -> list[bool]:
        return self._sink.write(
            [item.decision for item in items if item.decision is not None],
            [item.feedback for item in items if item.feedback is not None],
        )

    def _done(self, items: Sequence[_Item], known: Sequence[bool]) -> None:
        items = list(items)
        with self._changed:
            self._error = None
            self._counts["written"] += sum(item.decision is not None for item in items)
            self._counts["feedback"] += sum(known)
            self._forget(items)
        waiters = [item.known for item in items if item.known is not None]
        for waiter, result in zip(waiters, known, strict=True):
            # whoever has gone away no longer waits
            if waiter.set_running_or_notify_cancel():
                waiter.set_result(result)

    def _refused(self, item: _Item, error: Exception) -> None:
        with self._changed:
            self._counts["refused"] += 1
            self._forget([item])
        if item.known is not None and item.known.set_running_or_notify_cancel():
            item.known.set_exception(DecisionLogError(f"feedback was refused, got {type(error).__name__}"))

    def _forget(self, items: Sequence[_Item]) -> None:
        """Under the lock: these no longer wait."""
        gone = set(map(id, items))
        self._working = [item for item in self._working if id(item) not in gone]
        for item in items:
            self._bytes -= item.size
            if item.decision is not None:
                self._waiting.pop(item.decision.decision_id, None)
        self._changed.notify_all()

    def _failed(self, error: Exception) -> bool:
        with self._changed:
            if self._error is None:
                _LOGGER.warning("the decision log cannot be written, trying again: %s", type(error).__name__)
            self._error = type(error).__name__
        return False

    def _give_up(self) -> None:
        """Under the lock: the time to close is over."""
        left = [*self._working, *self._queue]
        self._queue.clear()
        self._counts["lost"] += sum(item.decision is not None for item in left)
        self._forget(left)
        for item in left:
            if item.known is not None and item.known.set_running_or_notify_cancel():
                item.known.set_exception(
                    DecisionLogError("feedback is written before a log closes, got none")
                )

    def _until_tidy(self) -> float:
        return max(0.0, self._tidy_next - time.monotonic())

    def _do_tidy(self) -> None:
        if self._tidy is None or self._closing is not None or self._until_tidy() > 0.0:
            return
        try:
            more = self._tidy()
        except Exception as error:
            _LOGGER.warning("the decision log cannot be tidied: %s", type(error).__name__)
            more = False
            with self._changed:
                self._counts["tidy_failures"] += 1
        self._tidy_next = time.monotonic() + (0.0 if more else self._tidy_every)


def _poisoned(error: Exception) -> bool:
    """Whether a record is at fault, and not the database."""
    if isinstance(error, sa.exc.DBAPIError):
        return isinstance(error, _POISON) and not error.connection_invalidated
    return not isinstance(error, OSError | sa.exc.TimeoutError)
