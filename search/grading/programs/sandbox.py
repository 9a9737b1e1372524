"""The sandbox: runs a stranger's Python program apart from everything of ours, and says what came of it.

>>> ran = run("def double(x):\\n    return 2 * x", calls=["double(21)", "double(None)"])
>>> ran.ending, ran.outputs
(<Ending.FINISHED: 'finished'>, ('42', '!TypeError'))

Each run is a process of its own in the jail of ``search.grading.programs.jail``: no network, no file but the
Python installation (and the packages that are allowed), no other process, an empty environment; limits on
time, memory, files and processes; two empty folders, ``/box`` and ``/tmp``, that end with it. The processes
are forked by ``search.grading.programs.forkserver``; as many run at once as there are cores, and who waits
for room loses no time. Nothing is ever run without the jail: where the kernel gives none, that is an error. A
program that sets out to fake its own result could do so, since the tests run beside it; it can harm nobody.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import IO, Any

from search.errors import GradingError
from search.grading.programs.forked import Forked, Request

__all__ = ["DEFAULT", "RUNNER", "Ending", "Ran", "SandboxLimits", "run"]

#: characters of one output that are kept
_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Of one run: ``seconds`` by the clock, ``cpu`` seconds, bytes of ``memory`` per process, of a ``file``
    and of the ``disk``, ``processes`` (threads count), ``open`` files."""

    seconds: float = 10.0
    cpu: int = 5
    memory: int = 512 << 20
    file: int = 1 << 20
    disk: int = 16 << 20
    processes: int = 4
    open: int = 64

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")


class Ending(StrEnum):
    """How a run ended."""

    FINISHED = "finished"  # the program was read, and every call or the tests were tried
    RAISED = "raised"  # the program itself or a test raised
    TIME = "time"  # killed at its time limit
    DIED = "died"  # it left without a word: memory, a signal, an exit


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run. ``error`` names the exception; ``outputs`` has one text per call, an exception as
    ``!Name``. ``seconds``: measured, from when there was room for it."""

    ending: Ending
    error: str = ""
    outputs: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)


#: what a function of a few lines needs at most
DEFAULT = SandboxLimits()


def run(
    program: str,
    *,
    calls: Sequence[str] = (),
    tests: str = "",
    limits: SandboxLimits = DEFAULT,
    packages: Sequence[str] = (),
) -> Ran:
    """Run a program, then the tests beside it, then evaluate calls.

    Parameters
    ----------
    program:
        Source of a module.
    calls:
        Expressions over its names. Floats in what they give are told to nine digits.
    tests:
        Source that runs in the same module and raises where the program is wrong.
    packages:
        Installed distributions that the program may import, with what they need.

    Raises GradingError where no jail can be made, with what the system said, or where a package is missing.
    """
    task = {"program": program, "calls": list(calls), "tests": tests}
    # files, not pipes: the limit on files holds for what is printed, and nobody waits for a reader
    with ExitStack() as files:
        given, told = (files.enter_context(os.fdopen(_memory(), "w+b")) for _ in range(2))
        given.write(json.dumps(task).encode())
        given.seek(0)
        with _ROOM:
            began = time.monotonic()
            status = Forked.of(RUNNER, tuple(packages)).ask(
                Request(given.fileno(), told.fileno(), asdict(limits)), limits.seconds
            )
            seconds = time.monotonic() - began
        if status is None:
            return Ran(Ending.TIME, seconds=seconds)
        lines = _read(told, limits.file).splitlines()
        if not lines or lines[0] != _ENTERED:
            if not status.in_time:
                return Ran(Ending.TIME, seconds=seconds)
            raise GradingError(
                "a stranger's program runs only in a jail, which takes Linux and root or user namespaces, "
                f"got {status.error or f'exit {status.code}'}"
            )
        ran = _result(lines[1:], status.in_time, abs(status.code))
        return replace(ran, seconds=seconds)


def _result(lines: Sequence[str], in_time: bool, code: int) -> Ran:
    try:
        result: dict[str, Any] = json.loads(lines[-1])
        outputs = tuple(str(text) for text in result["outputs"])
        ending = Ending(result["ending"])
        return Ran(ending, str(result["error"]), outputs)
    except (LookupError, ValueError, TypeError):
        # nothing, or a line cut off: it was killed, by the clock or by the limit on CPU time
        if not in_time or code in (signal.SIGKILL, signal.SIGXCPU):
            return Ran(Ending.TIME)
        return Ran(Ending.DIED, f"exit {code}")


def _read(file: IO[bytes], most: int) -> str:
    file.seek(0)
    return file.read(most).decode("utf-8", "replace")


def _memory() -> int:
    """A file without a name, in memory."""
    if not hasattr(os, "memfd_create"):
        raise GradingError("a stranger's program runs only in a jail, which takes Linux, got another system")
    return os.memfd_create("task")


#: as many run at once as there are cores: more would only take time from each other
_ROOM = threading.BoundedSemaphore(os.cpu_count() or 1)
_ENTERED = "entered"
#: runs inside the jail, as its first process; the environment may keep what numeric packages read
RUNNER = (
    """
import json, os, sys
for name in list(os.environ):
    if not name.endswith("_NUM_THREADS"):
        del os.environ[name]
task = json.load(sys.stdin)
answers = os.fdopen(os.dup(1), "w")
null = os.open("/dev/null", os.O_RDWR)
for stream in (0, 1, 2):
    os.dup2(null, stream)
print("entered", file=answers, flush=True)

def told(value, depth=0):
    if depth > 20:
        return "..."
    if isinstance(value, float):
        return format(value, ".9g")
    if type(value) in (list, tuple):
        inside = ", ".join(told(one, depth + 1) for one in value)
        return f"[{inside}]" if type(value) is list else f"({inside},)"
    if type(value) is dict:
        return "{" + ", ".join(f"{told(k, depth + 1)}: {told(v, depth + 1)}" for k, v in value.items()) + "}"
    if type(value) in (set, frozenset):
        return "{" + ", ".join(sorted(told(one, depth + 1) for one in value)) + "}"
    return repr(value)

result = {"ending": "finished", "error": "", "outputs": []}
space = {"__name__": "program"}
try:
    exec(compile(task["program"], "program", "exec"), space)
    exec(compile(task["tests"], "tests", "exec"), space)
except BaseException as error:
    result.update(ending="raised", error=type(error).__name__)
else:
    for call in task["calls"]:
        try:
            output = told(eval(call, space))
        except BaseException as error:
            output = "!" + type(error).__name__
        result["outputs"].append(output[:LONGEST])
print(json.dumps(result), file=answers, flush=True)
os._exit(0)
"""
).replace("LONGEST", str(_LONGEST))
