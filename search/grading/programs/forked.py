"""Our side of ``search.grading.programs.forkserver``: starts it once, hands it programs, hears how they
ended."""

from __future__ import annotations

import atexit
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, ClassVar

from search.errors import GradingError

__all__ = ["Forked", "Request", "Status", "installed"]

JAIL = Path(__file__).with_name("jail.py")
_SERVER = Path(__file__).with_name("forkserver.py")
#: seconds that a server may take to start: sympy is imported in it
_START_SECONDS = 120.0
#: seconds beyond a program's own limit after which the server itself counts as stuck
_GRACE_SECONDS = 30.0
#: threads of numeric packages count against the limit on processes
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Request:
    """Descriptors of the task and of what it tells, and the limits."""

    given: int
    told: int
    limits: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """How the jail's first process ended: its exit status, whether in time, or why there was no jail."""

    code: int = 0
    in_time: bool = True
    error: str = ""


class Forked:
    """One server, for one set of packages. Threads may ask at the same time."""

    _running: ClassVar[dict[tuple[Path, str, tuple[str, ...]], Forked]] = {}
    _lock = threading.Lock()

    def __init__(self, runner: str, packages: tuple[str, ...]) -> None:
        self._owner = os.getpid()
        folders = [folder for name in packages for folder in installed(name)]
        setup = {
            "runner": runner,
            "folders": sorted(set(folders)),
            "paths": sorted({os.path.dirname(folder) for folder in folders}),
            "modules": [name for name in packages if find_spec(name) is not None],
        }
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as it runs)
        with theirs:
            number = theirs.fileno()
            # no isolated mode: it would not let sets have the same order every time
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-s",
                    "-S",
                    "-B",
                    str(_SERVER),
                    str(JAIL),
                    str(number),
                    json.dumps(setup),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                env={"PYTHONHASHSEED": "0", **(_ONE_THREAD if packages else {})},
                cwd="/",
                pass_fds=(number,),
                start_new_session=True,
            )
        self._control.settimeout(_START_SECONDS)
        try:
            ready = self._control.recv(16)
        except TimeoutError:
            ready = b""
        if ready != b"ready":
            reason = self._reason()
            self.close()
            raise GradingError(
                "a stranger's program runs only in a jail, which takes Linux and root or user namespaces, "
                f"got {reason}"
            )
        self._control.settimeout(None)

    @classmethod
    def of(cls, runner: str, packages: tuple[str, ...]) -> Forked:
        """The server that runs now, started if there is none."""
        key = (JAIL, runner, packages)
        with cls._lock:
            found = cls._running.get(key)
            if found is None or not found.is_alive:
                if found is not None:
                    found.close()
                found = cls._running[key] = cls(runner, packages)
            return found

    @property
    def is_alive(self) -> bool:
        """Whether it takes requests of this process."""
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, request: Request, seconds: float) -> Status | None:
        """How the program ended; None where even the server did not say so in time.

        Raises GradingError where the server is gone.
        """
        read, write = os.pipe()
        try:
            message = json.dumps(dict(request.limits)).encode()
            try:
                socket.send_fds(self._control, [message], [request.given, request.told, write])
            except OSError as error:
                raise GradingError(f"a server of jails must run, got {error}: {self._reason()}") from error
            finally:
                os.close(write)
            said = _all(read, seconds + _GRACE_SECONDS)
        finally:
            os.close(read)
        if said is None:
            self.close()
            return None
        status: dict[str, Any] = {"error": "no word of the watcher"}
        for line in reversed(said.splitlines()):  # the first word counts: it is the cause
            status = json.loads(line)
        return Status(**status)

    def close(self) -> None:
        """End it, and with it all that it runs."""
        self._control.close()
        if self._owner == os.getpid():
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        self._said.close()

    @classmethod
    def close_all(cls) -> None:
        """End all servers. They can be started again."""
        with cls._lock:
            running, cls._running = list(cls._running.values()), {}
        for server in running:
            server.close()

    def _reason(self) -> str:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "no answer"
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"exit {code}"


@lru_cache(maxsize=64)
def installed(name: str) -> tuple[str, ...]:
    """The folders and files of an installed distribution and of those that it needs.

    Raises GradingError for one that is not installed.
    """
    try:
        first = distribution(name)
    except PackageNotFoundError:
        raise GradingError(f"a package that programs may import must be installed, got {name!r}") from None
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [first]
    while waiting:
        known = waiting.pop()
        if known.name in seen:
            continue
        seen.add(known.name)
        for file in known.files or ():
            if file.parts[0] not in ("..", "__pycache__"):
                found[os.path.realpath(str(known.locate_file(file.parts[0])))] = None
        waiting += _needs(known.requires or ())
    return tuple(path for path in found if os.path.exists(path))


def _needs(requirements: Iterable[str]) -> Iterable[Distribution]:
    """The distributions that are needed without any extra, as far as they are installed."""
    for requirement in requirements:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is None or "extra ==" in requirement:
            continue
        try:
            yield distribution(name.group())
        except PackageNotFoundError:
            continue  # of another system or version


def _all(read: int, seconds: float) -> bytes | None:
    """What comes through a pipe until it is closed; None when that takes too long."""
    end = time.monotonic() + seconds
    found = b""
    with selectors.DefaultSelector() as ready:
        ready.register(read, selectors.EVENT_READ)
        while True:
            if not ready.select(max(end - time.monotonic(), 0.0)):
                return None
            piece = os.read(read, 1 << 16)
            if not piece:
                return found
            found += piece


atexit.register(Forked.close_all)
