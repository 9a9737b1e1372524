"""Speed of ``planner serve`` beside its_hub, optillm and LiteLLM's proxy, before the same upstream.

    python benchmarks/serve_peers.py                          # three rounds of four seconds a point
    python benchmarks/serve_peers.py --rounds 5 --seconds 10  # more; rounds that are done stay
    python benchmarks/serve_peers.py --page                   # the page from the figures, nothing measured

All servers run at the same time; one is asked at a time. A round measures every server at every point (1, 8
and 64 clients; passed on, a vote of 8, and our planned ``cot``), one right after the other, and every round
begins with another server. The upstream itself is measured in the same way, and what a server adds is its
latency less the upstream's of the same round. Figures are medians over the rounds. Each round is kept in
``serve_peers.json`` as it ends; a later call goes on where that one stopped, if latency and seconds agree.
What is written into its list ``notes`` stands on the page.

``serve_peers_servers.py`` starts the servers (``versus_servers.py`` says where the peers' environments are),
``serve_peers_page.py`` has the arithmetic and the page.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serve_load import HERE, closed
from serve_peers_page import page
from serve_peers_servers import CONTESTANTS, PASSED, PLANNED, VOTE, Contestant, Usage, family, process_at
from serve_peers_servers import upstream as started
from versus_servers import version

CLIENTS = (1, 8, 64)
_PATH = "/v1/chat/completions"
#: requests of one point end with its time, not with their number
_MANY = 10**6


class Numbers:
    """Of requests: none comes twice, so that nothing can be remembered."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        """The first of as many as a point may need."""
        self._next += _MANY
        return self._next


def point(
    contestant: Contestant,
    way: str,
    clients: int,
    *,
    port: int,
    seconds: float,
    latency: float,
    numbers: Numbers,
) -> dict[str, Any]:
    """One server under one load. Milliseconds; ``cpu_ms`` of a request, ``mib`` after the load."""
    pids = family(process_at(port))
    before = Usage.of(pids)
    load = asyncio.run(
        closed(port, _PATH, contestant.ways[way], clients, _MANY, numbers.take(), latency, seconds)
    )
    after = Usage.of(pids)
    return {
        "server": contestant.name,
        "way": way,
        "clients": clients,
        "requests": len(load.took),
        "failed": len(load.took) - load.statuses[200],
        "p50_ms": load.quantile(0.5) * 1e3,
        "p95_ms": load.quantile(0.95) * 1e3,
        "per_s": load.statuses[200] / load.seconds,
        "cpu_ms": (after.cpu - before.cpu) / len(load.took) * 1e3,
        "mib": after.mib,
    }


def one_round(
    place: int, ports: Mapping[str, int], *, seconds: float, latency: float, numbers: Numbers
) -> dict[str, Any]:
    """Every server at every point; ``place``: which round it is, which says who begins."""
    cells = []
    began, busy, own = time.monotonic(), _machine(), Usage.of(family(os.getpid())).cpu
    turn = place % len(CONTESTANTS)
    order = CONTESTANTS[turn:] + CONTESTANTS[:turn]
    for clients, way in itertools.product(CLIENTS, (PASSED, PLANNED, VOTE)):
        for contestant in order:
            if way in contestant.ways:
                cells.append(
                    point(
                        contestant,
                        way,
                        clients,
                        port=ports[contestant.name],
                        seconds=seconds,
                        latency=latency,
                        numbers=numbers,
                    )
                )
                print(json.dumps(cells[-1]), flush=True)
    own = Usage.of(family(os.getpid())).cpu - own
    beside = max(0.0, _machine() - busy - own) / (time.monotonic() - began)
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "load_average": os.getloadavg()[0],
        "cores_taken_by_other_work": beside,
        "cells": cells,
    }


def _machine() -> float:
    """CPU seconds that all processes of the machine have taken, and what its host took away."""
    names = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _, _, irq, soft, stolen = map(int, names[:8])
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(latency: float) -> Iterator[dict[str, int]]:
    """The port of each server, all of them running. They start together: some take a minute of a core."""
    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        door = stack.enter_context(started(latency))
        starts = [
            (contestant.name, threads.submit(stack.enter_context, contestant.start(door)))
            for contestant in CONTESTANTS
        ]
        yield {name: int(start.result().rpartition(":")[2]) for name, start in starts}


def warm(ports: Mapping[str, int], latency: float, numbers: Numbers) -> None:
    """Ask everything of every server, so that no first request is measured.

    Raises SystemExit where a server answers nothing: errors are quick, and would be measured as speed.
    """
    for contestant in CONTESTANTS:
        for way in contestant.ways:
            port = ports[contestant.name]
            row = point(contestant, way, 8, port=port, seconds=2 * latency, latency=latency, numbers=numbers)
            if row["failed"] == row["requests"]:
                raise SystemExit(
                    f"a server must answer with status 200, got none of {contestant.name}, {way}"
                )


def kept(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is known: the rounds of an earlier call, if they were measured with the same settings."""
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        if found["settings"] == settings:
            return found
    return {"settings": dict(settings), "rounds": []}


def measure(found: dict[str, Any], path: Path, ports: Mapping[str, int], rounds: int) -> None:
    """The rounds that are missing, each kept as it ends."""
    seconds, latency, numbers = found["settings"]["seconds"], found["settings"]["latency"], Numbers()
    warm(ports, latency, numbers)
    while len(found["rounds"]) < rounds:
        place = len(found["rounds"])
        found["rounds"].append(one_round(place, ports, seconds=seconds, latency=latency, numbers=numbers))
        path.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Measure what is missing, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of all, with those that are kept")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one point in one round")
    parser.add_argument("--latency", type=float, default=0.25, help="seconds of every answer of the upstream")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the figures and the page")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    path = asked.output / "serve_peers.json"
    if asked.page:
        found = json.loads(path.read_text())
    else:
        found = kept(path, {"latency": asked.latency, "seconds": asked.seconds})
        found["cores"] = len(os.sched_getaffinity(0))
        found["versions"] = {name: version(name) for name in ("its_hub", "optillm", "litellm")}
        with running(asked.latency) as ports:
            measure(found, path, ports, asked.rounds)
    text = page(found)
    (asked.output / "serve_peers.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
