"""Processes that end when this one does, however it ends.

A library that starts processes of its own (vLLM: an engine core and its workers) may leave them behind when
this process is killed, deaf to SIGTERM and with all their memory. A ``Tether`` starts a small watcher in a
session of its own, whose standard input is a pipe from this process. When the pipe closes, because ``cut``
was called or because this process has ended (SIGKILL included), the observer kills every process that it
holds, until none is left. It holds what carries the tether's mark in its environment, and all that descends
from it; while processes are being started it looks often, since a process may write over its environment
later (vLLM's do, to change their titles).

Linux: elsewhere there is no ``/proc`` to find processes by, and the observer does nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MARK", "Tether"]

#: the environment variable that marks processes
MARK = "PLANNER_TETHER"
#: seconds that ``cut`` waits for the observer, which by then has killed whatever it found
_PATIENCE = 15.0

# Runs in the observer, which imports nothing of ours: it must outlive whatever is wrong with us. ``held``
# maps a process to when it started, so that a number which is used again is no process of ours.
_WATCH = r"""
import os, select, signal, sys, time
mark, parent = sys.argv[1].encode(), int(sys.argv[2])
held = {}

def processes():
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            if name.isdigit() and int(name) != os.getpid() and fields[0] not in (b"Z", b"X"):
                yield int(name), int(fields[1]), fields[19]
        except (OSError, ValueError, IndexError):
            continue

def is_marked(process):
    try:
        with open(f"/proc/{process}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False

def look():
    there = {process: (above, start) for process, above, start in processes()}
    for process, (above, start) in there.items():
        if held.get(process) != start and is_marked(process):
            held[process] = start
    grown = True
    while grown:
        grown = False
        for process, (above, start) in there.items():
            if above in held and above in there and held[above] == there[above][1]:
                if held.get(process) != start:
                    held[process], grown = start, True
    return [process for process, (_, start) in there.items() if held.get(process) == start]

starting = 0
while os.getppid() == parent:  # a forked child of the parent may hold the pipe open too
    if select.select([0], [], [], 0.1 if starting else 0.5)[0]:
        word = os.read(0, 1)
        if not word:
            break
        starting += 1 if word == b"+" else -1
        look()
    elif starting:
        look()
until = time.monotonic() + 10.0
empty = 0
while empty < 2 and time.monotonic() < until:
    found = look()
    for process in found:
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            pass
    empty = 0 if found else empty + 1
    time.sleep(0.02)
"""

#: guards this process's environment while a mark is in it
_environment = threading.Lock()


class Tether:
    """Holds processes to this one. Start them within ``holding``, or give them ``variable``.

    >>> tether = Tether()
    >>> child = subprocess.Popen(["sleep", "60"], env={**os.environ, **tether.variable})
    >>> tether.cut()
    >>> child.wait()
    -9
    """

    def __init__(self) -> None:
        self.variable = {MARK: secrets.token_hex(16)}
        # the pipe's end here is inherited by nobody (PEP 446), so it closes with this process
        mark = f"{MARK}={self.variable[MARK]}"
        self._observer: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, mark, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        self._cutting = threading.Lock()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Processes that are started inside by this process, from any thread, are held."""
        with _environment:
            before = os.environ.get(MARK)
            os.environ.update(self.variable)
            self._tell(b"+")
            try:
                yield
            finally:
                self._tell(b"-")
                if before is None:
                    del os.environ[MARK]
                else:
                    os.environ[MARK] = before

    def _tell(self, word: bytes) -> None:
        observer = self._observer
        if observer is not None and observer.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ValueError):  # killed, or cut meanwhile
                observer.stdin.write(word)
                observer.stdin.flush()

    def cut(self) -> None:
        """End what is held, now, and wait for that. Safe to call twice."""
        with self._cutting:
            observer, self._observer = self._observer, None
            if observer is None:
                return
            if observer.stdin is not None:
                observer.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it is no child of ours to wait for longer
                observer.wait(timeout=_PATIENCE)
