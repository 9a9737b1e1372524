"""Processes that answer requests and can be killed: for graders that may hang, crash or eat memory.

A worker is a program that prints one line of JSON when it is ready (``{"missing": name}`` when a package
that it needs is not there), then reads one JSON object a line and prints one. It is started when it is
first needed, ends when its standard input does (so it never outlives this process), and is killed when it
does not answer in time. Threads may ask at the same time; each request has a worker to itself.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from search.errors import GraderDiedError, GraderHungError, MissingExtraError

__all__ = ["KillablePool"]

_CHUNK = 1 << 16


class KillablePool:
    """Up to ``size`` workers, all running one module.

    Parameters
    ----------
    module:
        What ``python -m`` runs.
    size:
        Most workers at once. Further requests wait; the wait does not count against their limit. One that
        takes longer than ``brief`` seconds gives its place away, up to ``2 * size`` of them: requests that
        hang do not hold up the others.
    start_seconds:
        How long a worker may take until it is ready (importing sympy takes seconds).
    """

    def __init__(
        self, module: str, *, size: int = 2, start_seconds: float = 120.0, brief: float = 0.25
    ) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least 1 worker, got {size}")
        self._module = module
        self._start_seconds = start_seconds
        self._size, self._brief = size, brief
        self._room = threading.BoundedSemaphore(size)
        self._slow = threading.BoundedSemaphore(2 * size)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        atexit.register(self.close)

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The answer of a worker.

        Raises
        ------
        GraderHungError
            No answer within ``seconds``; the worker was killed.
        GraderDiedError
            The worker ended by itself (out of memory, say) or answered with an error.
        MissingExtraError
            The worker lacks a package.
        """
        place = self._room
        place.acquire()
        try:
            worker = self._take()
            try:
                worker.tell(request)
                answer = worker.wait(min(seconds, self._brief))
                if answer is None and seconds > self._brief:
                    if self._slow.acquire(blocking=False):
                        place = self._slow
                        self._room.release()
                    answer = worker.wait(seconds - self._brief)
                if answer is None:
                    raise GraderHungError(
                        f"a grader must answer within {seconds:g} s, got none for {_short(request)}"
                    )
            except BaseException:
                worker.kill()
                raise
            with self._lock:
                is_kept = len(self._idle) < self._size
                if is_kept:
                    self._idle.append(worker)
            if not is_kept:
                worker.kill()
        finally:
            place.release()
        if "error" in answer:
            raise GraderDiedError(f"a grader must answer, got {answer['error']} for {_short(request)}")
        return answer

    def close(self) -> None:
        """End all idle workers. The pool can be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive:
                    return worker
                worker.kill()
        worker = _Worker(self._module)
        try:
            started = worker.wait(self._start_seconds)
            if started is None:
                raise GraderHungError(
                    f"a grader must answer within {self._start_seconds:g} s, got none for its start"
                )
            if "missing" in started:
                raise MissingExtraError(
                    f"this grader needs the grading extra, got no {started['missing']}: "
                    "pip install 'test-time-planner[grading]'"
                )
        except BaseException:
            worker.kill()
            raise
        return worker


class _Worker:
    """One process and the two pipes to it."""

    def __init__(self, module: str) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._unread = b""
        self._asked = "its start"

    @property
    def is_alive(self) -> bool:
        return self._owner == os.getpid() and self._process.poll() is None

    def tell(self, request: Mapping[str, Any]) -> None:
        """Send a request. Raises GraderDiedError."""
        self._asked = _short(request)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise GraderDiedError(f"a grader must run, got {error} for {self._asked}") from error

    def wait(self, seconds: float) -> dict[str, Any] | None:
        """The next line of the process, as an object; None where none comes in time.

        Raises GraderDiedError.
        """
        assert self._process.stdout is not None
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as ready:
            ready.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                left = end - time.monotonic()
                if left <= 0.0 or not ready.select(left):
                    return None
                piece = os.read(self._process.stdout.fileno(), _CHUNK)
                if not piece:
                    code = self._process.wait()
                    raise GraderDiedError(f"a grader must answer, got exit status {code} for {self._asked}")
                self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self) -> None:
        """End the process and wait for it."""
        if self._owner != os.getpid():  # a forked child has copies of the pipes, not the process
            return
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


#: prints go to standard error, so that nothing but answers reaches the pipe
_START = """
import os, runpy, sys
module = sys.argv[1]
sys.argv = [module]
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
runpy.run_module(module, {"answers": answers}, run_name="__main__")
"""


def _short(value: object, characters: int = 160) -> str:
    text = repr(value)
    return text if len(text) <= characters else f"{text[:characters]}..."
