"""Synchronous faces over coroutines, also inside a running loop (a notebook, a server's thread).

    >>> async def answer() -> int:
    ...     return 42
    >>> run_sync(answer())
    42

All coroutines run on one event loop in one background thread that lives as long as the process:
engines and rewards are bound to the loop that first used them, and one engine must serve many calls.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["on_this_loop", "run_aside", "run_sync"]

T = TypeVar("T")
E = TypeVar("E")


class _Background:
    """The loop and its thread, started when first needed and again in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._forget)

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="search-sync", daemon=True
                )
                self._thread.start()
            return self._loop

    def is_current_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _forget(self) -> None:
        self._lock = threading.Lock()  # the parent's thread may have held it
        self._loop = self._thread = None


_background = _Background()


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the background loop and return what it returns.

    An interrupt (Ctrl-C) cancels the coroutine, waits until it has cleaned up, and is raised again.
    Raises RuntimeError when called from a coroutine on that loop, which would wait for itself, and
    whatever the coroutine raises.
    """
    if _background.is_current_thread():
        work.close()
        raise RuntimeError("run_sync must not be called on its own loop, got a call from a coroutine it runs")
    loop, done = _background.loop(), threading.Event()
    tasks: list[asyncio.Task[T]] = []

    def start() -> None:
        tasks.append(loop.create_task(work))
        tasks[0].add_done_callback(lambda _: done.set())

    def stop() -> None:  # runs after start, if start was reached before the interrupt
        if tasks:
            tasks[0].cancel()
        else:
            work.close()
            done.set()

    try:
        loop.call_soon_threadsafe(start)
        done.wait()
    except (KeyboardInterrupt, SystemExit):
        loop.call_soon_threadsafe(stop)
        done.wait()
        raise
    return tasks[0].result()


async def run_aside(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the background loop, and wait for it on this one.

    Engines and rewards that ``run_sync`` uses are shared so. When the caller is cancelled, so is the work.
    """
    loop = _background.loop()
    if asyncio.get_running_loop() is loop:
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


def on_this_loop(hear: Callable[[E], object]) -> Callable[[E], None]:
    """``hear``, called on the loop that runs now, by whoever calls from another thread; in order."""
    loop = asyncio.get_running_loop()

    def told(event: E) -> None:
        loop.call_soon_threadsafe(hear, event)

    return told
