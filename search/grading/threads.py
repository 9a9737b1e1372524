"""Threads for comparing answers, of each domain its own: a grader that hangs takes none from others.

They are daemons, so that one that never ends keeps no process from ending.

    >>> GraderThreads(2).submit(lambda: 3 + 4).result()
    7
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["GraderThreads"]

T = TypeVar("T")


class GraderThreads:
    """Up to ``most`` threads, each started where there is work and ended where there is none."""

    _lock = threading.Lock()
    _known: dict[str, GraderThreads] = {}  # noqa: RUF012 (shared on purpose)

    def __init__(self, most: int = 32) -> None:
        if most < 1:
            raise ValueError(f"at least 1 thread compares answers, got {most}")
        self._most = most
        self._running = 0
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    @classmethod
    def of(cls, domain: str) -> GraderThreads:
        """Those of a domain, by its name."""
        with cls._lock:
            return cls._known.setdefault(domain, cls())

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have it done; what is cancelled before it begins is not."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, work))
            if self._running >= self._most:
                return future
            self._running += 1
        threading.Thread(target=self._run, name="grader", daemon=True).start()
        return future

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                future, work = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # whoever waits hears of it
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, work
