"""A process that forks one jailed interpreter per program, so that none has to start.

Run as a script by ``search.grading.programs.sandbox``, in an interpreter that holds nothing of ours: no
environment, no open file but a socket, no module but the standard library's (and packages that were allowed,
imported ahead). Each request comes with two files and a pipe: the program, what it tells, and how it ended.
For each, an observer is forked, which shuts itself in (``search.grading.programs.jail``: namespaces, file
system and limits of its own), runs the program in the jail's first process and kills that at its time limit.
When the socket closes, everything ends. Arguments: the jail's path, the socket's number, folders to show and
modules to import as JSON.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from types import CodeType
from typing import Any, NoReturn

__all__ = ["main"]

#: what programs of a few lines import most
_COMMON = [
    "abc",
    "array",
    "bisect",
    "collections",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "inspect",
    "itertools",
    "math",
    "operator",
    "queue",
    "random",
    "re",
    "statistics",
    "string",
    "textwrap",
    "threading",
    "time",
    "types",
    "typing",
    "unittest",
]


def main(arguments: Sequence[str]) -> None:
    """Serve until the socket closes."""
    jail_path, number, told = arguments
    setup = json.loads(told)
    control = socket.socket(fileno=int(number))
    jail = _module("jail", jail_path)
    sys.path += setup["paths"]
    for name in (*_COMMON, *setup["modules"]):
        importlib.import_module(name)
    code = compile(setup["runner"], "runner", "exec")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watchers
    gc.collect()
    gc.freeze()
    control.send(b"ready")
    server = os.getpid()
    while True:
        message, files, _, _ = socket.recv_fds(control, 1 << 16, 3)
        if not message:
            return
        try:
            if os.fork() == 0:
                control.close()
                _watch(jail, json.loads(message), files, _Work(code, tuple(setup["folders"]), server))
        except OSError as error:
            _say(files[2], {"error": f"fork: {error}"})
        for file in files:
            os.close(file)


class _Work:
    """What every program shares."""

    def __init__(self, code: CodeType, folders: tuple[str, ...], server: int) -> None:
        self.code, self.folders, self.server = code, folders, server


def _watch(jail: Any, limits: dict[str, Any], files: list[int], work: _Work) -> NoReturn:
    """Make a jail, run the program there, say how it ended."""
    given, told, status = files
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        jail.end_with_parent()
        if os.getppid() != work.server:
            os._exit(1)
        end = time.monotonic() + limits["seconds"]
        first = jail.shut_in(limits, work.folders)
        if first:
            _say(status, _ended(first, end))
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    except Exception as error:
        _say(status, {"error": f"{type(error).__name__}: {error}"})
        os._exit(1)
    os.dup2(given, 0)
    os.dup2(told, 1)
    os.closerange(3, 4096)
    importlib.invalidate_caches()
    sys.argv = [""]
    try:
        exec(work.code, {"__name__": "__main__"})
    finally:
        os._exit(1)


def _ended(first: int, end: float) -> dict[str, Any]:
    """The exit status of the jail's first process, killed when its time is up."""
    while True:
        found, status = os.waitpid(first, os.WNOHANG)
        if found:
            return {"code": os.waitstatus_to_exitcode(status), "in_time": True}
        left = end - time.monotonic()
        if left <= 0.0:
            os.kill(first, signal.SIGKILL)
            return {"code": os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]), "in_time": False}
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _say(status: int, what: dict[str, Any]) -> None:
    os.write(status, json.dumps(what).encode() + b"\n")


def _module(name: str, path: str) -> Any:
    """A module from its file: the folder beside it holds a ``math.py`` and would hide the library's."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"a module must be a file of Python, got {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1:])
