"""What each hand-made speed-up of the server brings: the server without it, beside the whole one.

    python benchmarks/serve_speedups.py              # seven rounds
    python benchmarks/serve_speedups.py --rounds 15  # more; rounds that are done stay
    python benchmarks/serve_speedups.py --page       # the page from the figures, nothing measured

All servers run at the same time, before the same upstream (``upstream.py``, a fixed latency), and one is
asked at a time: the whole one, the same again, and one without each speed-up (``serve_without.py``). A round
asks every server at every point, one right after the other, and every round begins with another server. A
ratio is a server's figure over that of the whole one in the same round; the page has the medians over the
rounds, with 95% intervals by bootstrap over the rounds. The same server again shows what chance does.

Two are measured alone too, in this process: the trees of one decision, scored both ways, and a collection of
everything, before and after it was set apart.

CPU is the server process's own time for a request, which other work on the machine disturbs least. Each round
is kept in ``serve_speedups.json`` as it ends; a later call goes on where that one stopped if the settings
agree. What is written into its ``notes`` stands on the page.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from serve_load import HERE, POLICY, Load, Process, chat, closed, free_port
from serve_peers_servers import Usage, upstream
from serve_without import SPEEDUPS

from planner.models import shipped
from planner.planner import Planner
from planner.server.current import freeze_gc

#: the server that lacks nothing
WHOLE = "whole"
_CHAT, _PLAN = "/v1/chat/completions", "/v1/plan"
#: figure -> its words
FIGURES = {"added_ms": "added p50", "cpu_ms": "CPU", "per_s": "throughput"}


def _plan_body(number: int) -> Any:
    return {"question": f"What is ({number % 97}+{number // 97 % 89})+{number}?", "budget": {"tokens": 800}}


#: name -> (path, body, clients, whether the upstream is asked)
POINTS: Mapping[str, tuple[str, Callable[[int], Any], int, bool]] = {
    "planned cot, 1 client": (_CHAT, lambda number: chat(number, "planner/cot()"), 1, True),
    "planned cot, 8 clients": (_CHAT, lambda number: chat(number, "planner/cot()"), 8, True),
    "passed on, 8 clients": (_CHAT, lambda number: chat(number, POLICY), 8, True),
    "`/v1/plan`, 8 clients": (_PLAN, _plan_body, 8, False),
}


def point(name: str, port: int, pid: int, *, requests: int, latency: float, first: int) -> dict[str, float]:
    """One server under one load, milliseconds. Raises SystemExit for an answer that is none."""
    path, body, clients, asks_upstream = POINTS[name]
    count = requests * (1 if clients == 1 else 3)
    behind = latency if asks_upstream else 0.0
    before = Usage.of((pid,)).cpu
    load: Load = asyncio.run(closed(port, path, body, clients, count, first, behind))
    cpu = Usage.of((pid,)).cpu - before
    if load.statuses[200] < count:
        raise SystemExit(f"a server must answer with status 200, got {dict(load.statuses)} at {name}")
    return {
        "added_ms": (load.quantile(0.5) - behind) * 1e3,
        "cpu_ms": cpu / count * 1e3,
        "per_s": load.rate,
    }


@contextmanager
def running(latency: float) -> Iterator[dict[str, tuple[int, int]]]:
    """The port and the process of each server, all of them running."""
    with ExitStack() as stack:
        door = stack.enter_context(upstream(latency))
        found = {}
        for name in (WHOLE, *SPEEDUPS):
            port = free_port()
            words = [sys.executable, str(HERE / "serve_without.py"), "nothing" if name == WHOLE else name]
            words += ["--base-url", door, "--policy", POLICY, "--port", str(port)]
            server = Process(words, "planner serve:")
            stack.callback(server.kill)
            server.start()
            assert server.process is not None
            found[name] = port, server.process.pid
        yield found


def measure(found: dict[str, Any], path: Path, rounds: int) -> None:
    """The rounds that are missing, each kept as it ends."""
    settings = found["settings"]
    latency, requests = settings["latency"], settings["requests"]
    numbers = iter(range(10**6, 10**9, 10**5))
    with running(latency) as servers:
        order = list(servers)
        for name in POINTS:  # so that no first request is measured
            for port, pid in servers.values():
                point(name, port, pid, requests=requests, latency=latency, first=next(numbers))
        while len(found["rounds"]) < rounds:
            turn = len(found["rounds"]) % len(order)
            cells: dict[str, dict[str, Any]] = {name: {} for name in POINTS}
            for name, row in cells.items():
                for server in order[turn:] + order[:turn]:
                    port, pid = servers[server]
                    row[server] = point(
                        name, port, pid, requests=requests, latency=latency, first=next(numbers)
                    )
            load = os.getloadavg()[0]
            found["rounds"].append(
                {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "load": load, "cells": cells}
            )
            path.write_text(json.dumps(found, indent=1) + "\n")
            print(f"round {len(found['rounds'])} of {rounds}, load {load:.1f}", flush=True)


def alone() -> dict[str, float]:
    """CPU in this process: ``bits_us`` and ``walk_us``, the trees of one decision scored both ways;
    ``collection_ms`` and ``frozen_ms``, a collection of everything before and after it was set apart."""

    def timed(work: Callable[[], object], times: int) -> float:
        took = []
        for _ in range(5):
            began = time.process_time()
            for _ in range(times):
                work()
            took.append((time.process_time() - began) / times)
        return min(took)

    def scored() -> float:
        forest = Planner.load(shipped("planner")).stages[0].forest
        row = np.zeros((1, forest.features))
        forest.predict(row)
        return timed(lambda: forest.predict(row), 200) * 1e6

    found = {"bits_us": scored()}
    SPEEDUPS["bits"].leave_out()
    found["walk_us"] = scored()
    found["objects"] = len(gc.get_objects())
    found["collection_ms"] = timed(gc.collect, 1) * 1e3
    freeze_gc()
    found["frozen_ms"] = timed(gc.collect, 1) * 1e3
    gc.unfreeze()
    return found


def ratio(rounds: Sequence[Mapping[str, Any]], place: str, server: str, figure: str) -> tuple[float, ...]:
    """A server's figure over the whole one's, and its 95% interval: medians over the rounds.

    >>> rounds = [{"cells": {"p": {"whole": {"cpu_ms": 2.0}, "bits": {"cpu_ms": 3.0}}}}] * 3
    >>> ratio(rounds, "p", "bits", "cpu_ms")
    (1.5, 1.5, 1.5)
    """
    found = [
        each["cells"][place][server][figure] / each["cells"][place][WHOLE][figure]
        for each in rounds
        if server in each["cells"][place]
    ]
    draw = Random(0)
    again = sorted(statistics.median(draw.choices(found, k=len(found))) for _ in range(2000))
    return statistics.median(found), again[int(0.025 * 2000)], again[int(0.975 * 2000)]


def page(found: Mapping[str, Any]) -> str:
    """The figures for people."""
    rounds, settings = found["rounds"], found["settings"]
    lines = [
        "# What the hand-made speed-ups of the server bring",
        "",
        "`python benchmarks/serve_speedups.py`, which says how it is measured; `serve_speedups.json` has the",
        "figures of every round, and this page is made of them.",
        "",
        f"{len(rounds)} rounds from {rounds[0]['at']} to {rounds[-1]['at']} UTC,",
        f"{settings['requests']} requests a round at 1 client, thrice as many at 8; the upstream answers",
        f"after {settings['latency'] * 1e3:g} ms. The load average of a minute was between",
        f"{min(each['load'] for each in rounds):.1f} and {max(each['load'] for each in rounds):.1f}.",
        "A ratio is of the server without a speed-up to the whole one: CPU and added latency above 1, and",
        "throughput below 1, are what the speed-up saves. In brackets the 95% interval.",
    ]
    for note in found.get("notes", ()):
        lines += ["", note]
    if "alone" in found:
        own = found["alone"]
        lines += [
            "",
            "Alone, in a process that has loaded the server's code and a planner, the trees of one decision",
            f"take {own['bits_us']:.0f} us of CPU scored by bits and {own['walk_us']:.0f} us walked.",
            f"A collection of all {own['objects']:,.0f} objects takes {own['collection_ms']:.0f} ms,",
            f"during which no request is answered, and {own['frozen_ms']:.3f} ms once they are set apart.",
        ]
    for place in POINTS:
        if not all(place in each["cells"] for each in rounds):
            continue
        whole = {
            figure: statistics.median(each["cells"][place][WHOLE][figure] for each in rounds)
            for figure in FIGURES
        }
        lines += [
            "",
            f"## {place[0].upper()}{place[1:]}",
            "",
            f"The whole server: {whole['added_ms']:.2f} ms added, {whole['cpu_ms']:.2f} ms of CPU, "
            f"{whole['per_s']:.0f} answers a second.",
            "",
            f"| without | {' | '.join(FIGURES.values())} |",
            f"|---|{'---|' * len(FIGURES)}",
        ]
        for name in rounds[0]["cells"][place]:
            if name != WHOLE:
                caption = found["captions"][name]
                told = ["{:.2f} ({:.2f} to {:.2f})".format(*ratio(rounds, place, name, f)) for f in FIGURES]
                lines.append(f"| {caption} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is missing, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="of all, with those that are kept")
    parser.add_argument("--requests", type=int, default=40, help="of one point in one round, at 1 client")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds of every answer of the upstream")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the figures and the page")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    path = asked.output / "serve_speedups.json"
    settings = {"latency": asked.latency, "requests": asked.requests}
    found: dict[str, Any] = {"settings": settings, "captions": {}, "notes": [], "rounds": []}
    if path.is_file():
        kept = json.loads(path.read_text())
        found = kept if asked.page or kept["settings"] == settings else found
    if not asked.page:
        found["captions"] |= {name: one.caption for name, one in SPEEDUPS.items()}
        if len(found["rounds"]) < asked.rounds:
            measure(found, path, asked.rounds)
        found["alone"] = alone()
        path.write_text(json.dumps(found, indent=1) + "\n")
    text = page(found)
    (asked.output / "serve_speedups.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
