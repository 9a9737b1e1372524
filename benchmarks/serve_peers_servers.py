"""The servers of ``serve_peers.py``: how each is started, what it is asked, and what it takes.

All stand before the same upstream (``upstream.py``) and are used as they come: defaults, one process each.
``planner serve`` knows the model by the tokenizer of the lab's policy. LiteLLM's proxy offers no vote.

============  ===========================  ==========================================
server        passed on                    vote of 8
============  ===========================  ==========================================
upstream      the request itself           ``n=8``
planner       the policy's name            ``planner/majority(n=8)``
its_hub       a budget of 1                a budget of 8: eight requests of one sample
optillm       the policy's name            ``majority_voting-``, ``k=8``: ``n=8``
litellm       the policy's name            not offered
============  ===========================  ==========================================

``planner/cot()`` is planned: the same single answer, with a budget, a receipt and a record.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_load import HERE, POLICY, SERVE, Process, chat, free_port
from versus_servers import its_hub, litellm, optillm

__all__ = [
    "CONTESTANTS",
    "PASSED",
    "PLANNED",
    "VOTE",
    "Contestant",
    "Usage",
    "family",
    "process_at",
    "upstream",
]

PASSED, VOTE, PLANNED = "passed on", "vote of 8", "planned cot"
VOTES = 8
#: the line of an answer that the upstream writes last
_ANSWER = r"#(\d+)"

#: a request's number -> its body
Body = Callable[[int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Contestant:
    """``start``: its root, before the upstream's; ``ways``: what a client asks of it."""

    name: str
    caption: str
    start: Callable[[str], AbstractContextManager[str]]
    ways: Mapping[str, Body]


@contextmanager
def upstream(latency: float) -> Iterator[str]:
    """The root of a server whose every answer takes ``latency`` seconds."""
    port = free_port()
    words = [sys.executable, str(HERE / "upstream.py"), "--latency", str(latency)]
    with _process(Process([*words, "--port", str(port), "--model", POLICY], "READY")):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _planner(door: str) -> Iterator[str]:
    served = ["--base-url", door, "--policy", POLICY, "--port", str(port := free_port())]
    with _process(Process([*SERVE, *served], "planner serve:")):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _process(process: Process) -> Iterator[None]:
    try:
        process.start()
        yield
    finally:
        process.kill()


@contextmanager
def _itself(door: str) -> Iterator[str]:
    yield door


def _body(model: str, **more: Any) -> Body:
    return lambda number: chat(number, model, **more)


#: the upstream is measured as they are, in the same rounds
CONTESTANTS = (
    Contestant(
        "upstream", "the upstream itself", _itself, {PASSED: _body(POLICY), VOTE: _body(POLICY, n=VOTES)}
    ),
    Contestant(
        "planner",
        "planner serve",
        _planner,
        {
            PASSED: _body(POLICY),
            PLANNED: _body("planner/cot()"),
            VOTE: _body(f"planner/majority(n={VOTES})"),
        },
    ),
    Contestant(
        "its_hub",
        "its_hub 1.2",
        lambda door: its_hub(door, POLICY, answer=_ANSWER),
        {PASSED: _body(POLICY, budget=1), VOTE: _body(POLICY, budget=VOTES)},
    ),
    Contestant(
        "optillm",
        "optillm 0.4",
        lambda door: optillm(door, POLICY),
        {PASSED: _body(POLICY), VOTE: _body(f"majority_voting-{POLICY}", k=VOTES)},
    ),
    Contestant("litellm", "LiteLLM's proxy", lambda door: litellm(door, POLICY), {PASSED: _body(POLICY)}),
)


# -- what processes take ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """Of processes: CPU seconds so far, and resident MiB now."""

    cpu: float
    mib: float

    @classmethod
    def of(cls, pids: tuple[int, ...]) -> Usage:
        """Of all of them together."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
        # the clock of another process, as clock_getcpuclockid(3) makes it: nanoseconds, ended threads too
        cpu = sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)
        return cls(cpu, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def family(pid: int) -> tuple[int, ...]:
    """A process and all its descendants."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return tuple(found)


def process_at(port: int) -> int:
    """The child of this process that was started with ``--port``.

    Raises SystemExit where there is none.
    """
    for pid in family(os.getpid())[1:]:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if ("--port", str(port)) in itertools.pairwise(words):
            return pid
    raise SystemExit(f"a server must be a child of this process, got none with --port {port}")
