"""Speed and load of ``planner serve --base-url``: what it adds, and whether it keeps its word under faults.

    python benchmarks/serve_load.py overhead  # plan cot at 1, 8 and 64 clients beside the upstream alone
    python benchmarks/serve_load.py plan      # /v1/plan at a fixed rate, and as fast as it goes
    python benchmarks/serve_load.py memory    # resident memory over 50,000 requests
    python benchmarks/serve_load.py deadlines # budgets in seconds at 8, 32 and 64 clients

The server is the real command in a process of its own, before ``benchmarks/upstream.py`` (an answer after a
fixed time) and this process, which is the clients. The three share the machine's cores. ``cpu`` is the
server's own CPU time per request, which other work on the machine hardly touches. Each part writes its
figures into ``serve_load.json``; ``serve_load.md`` is written from all of them.

Deadlines are judged as a client sees them, before an upstream that slows down with the children it writes: an
answer counts as kept where it came whole, with status 200, within the seconds that were asked for. The right
answers are counted too, beside those of the same requests with a minute.

What it does under faults is ``serve_soak.py``'s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
POLICY, PRM = "lab-policy-m", "lab-prm-good"
SERVE = [sys.executable, "-c", "from planner.cli.main import main; main()", "serve"]
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port nobody has."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@dataclass
class Process:
    """A child that says when it is ready, and can be killed and started again."""

    command: list[str]
    ready: str
    process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The line that says it is ready."""
        env = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=env)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if self.ready not in line:
            raise SystemExit(f"a server must start, got {line!r} of {' '.join(self.command)}")
        return line

    def kill(self) -> None:
        """At once, as ``kill -9`` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def die(self) -> str:
        """Told to die, it does so in the midst of its work; its last words."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.terminate()
        said = self.process.stdout.read()
        self.kill()
        return said

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        assert self.process is not None
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / TICKS

    @property
    def memory(self) -> float:
        """Resident MiB."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class House:
    """The server, what is behind it, and where its decisions lie."""

    policy: Process
    prm: Process
    server: Process
    policy_port: int
    prm_port: int
    port: int
    decisions: Path


@contextmanager
def house(
    latency: float, *options: str, pace: Sequence[str] = (), program: str = "upstream.py"
) -> Iterator[House]:
    """Everything, running. ``pace``: more options of the policy's server, about its time; ``program``: what
    stands for the servers of models."""
    policy_port, prm_port = free_port(), free_port()
    upstream = [sys.executable, str(HERE / program), "--latency", str(latency)]
    policy = Process([*upstream, "--port", str(policy_port), "--model", POLICY, *pace], "READY")
    prm = Process([*upstream, "--port", str(prm_port), "--model", PRM], "READY")
    with tempfile.TemporaryDirectory() as folder:
        decisions = Path(folder) / "decisions.db"
        served = ["--base-url", f"http://127.0.0.1:{policy_port}", "--policy", POLICY, "--port", "0"]
        served += ["--prm-url", f"{PRM}=http://127.0.0.1:{prm_port}"]
        server = Process([*SERVE, *served, "--decisions", str(decisions), *options], "planner serve:")
        try:
            policy.start()
            prm.start()
            port = int(server.start().split("/v1")[0].rpartition(":")[2])
            yield House(policy, prm, server, policy_port, prm_port, port, decisions)
        finally:
            for each in (server, prm, policy):
                each.kill()


class Client:
    """One keep-alive connection that asks one thing at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: Any = None, *, leave: float | None = None) -> tuple[int, Any]:
        """(status, JSON); ``leave``: go away after so many seconds, (0, None). OSError where none answers."""
        if self._pair is None:
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pair
        content = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        if leave is not None:
            await asyncio.sleep(leave)
            self.close()
            return 0, None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            found = json.loads(await reader.readexactly(length))
            if b"connection: close" in lines:
                self.close()
            return int(head.split(b" ", 2)[1]), found
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave, without a word."""
        if self._pair is not None:
            self._pair[1].transport.abort()
            self._pair = None


def chat(number: int, model: str, **more: Any) -> dict[str, Any]:
    """A question that the ledger knows by its number."""
    return {"model": model, "messages": [{"role": "user", "content": f"What is (13+64)+{number}?"}], **more}


@dataclass
class Load:
    """What came of many requests. Latencies in seconds."""

    took: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu: float = 0.0

    def quantile(self, share: float) -> float:
        """Of the latencies."""
        ranked = sorted(self.took)
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))]

    @property
    def rate(self) -> float:
        """Answered per second."""
        return len(self.took) / self.seconds


async def closed(
    port: int,
    path: str,
    body: Callable[[int], Any],
    clients: int,
    count: int,
    first: int,
    ramp: float = 0.0,
    until: float = math.inf,
) -> Load:
    """``clients`` that ask one after another, ``count`` requests in all, none after ``until`` (seconds).

    They begin one after another within ``ramp`` seconds: clients that begin together stay together, and
    what is measured then is a herd.
    """
    load, numbers = Load(), iter(range(first, first + count))

    async def one(place: int) -> None:
        client = Client(port)
        await asyncio.sleep(ramp * place / clients)
        for number in numbers:
            asked = time.perf_counter()
            if asked - began > until:
                break
            status, _ = await client.ask(path, body(number))
            load.took.append(time.perf_counter() - asked)
            load.statuses[status] += 1
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*map(one, range(clients)))
    load.seconds = time.perf_counter() - began
    return load


async def paced(port: int, path: str, body: Callable[[int], Any], rate: float, seconds: float) -> Load:
    """Requests at a fixed rate whatever the answers take; latency counts from when a request was due."""
    load, idle = Load(), [Client(port) for _ in range(64)]
    began = time.perf_counter()

    async def one(number: int, due: float) -> None:
        client = idle.pop() if idle else Client(port)
        status, _ = await client.ask(path, body(number))
        load.took.append(time.perf_counter() - due)
        load.statuses[status] += 1
        idle.append(client)

    tasks = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.ensure_future(one(number, due)))
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - began
    return load


async def overhead(latency: float, each: float) -> dict[str, Any]:
    """Plan cot, both ways that a server answers it, beside the upstream alone; ``each``: seconds a figure."""
    rows = []
    with house(latency) as there:
        first = 1
        for way, model, path in (
            ("passed on", POLICY, "/v1/chat/completions"),
            ("planned", "planner/cot()", "/v1/chat/completions"),
        ):
            await closed(there.port, path, lambda n, m=model: chat(n, m), 8, 200, 10**6)  # warm
            for clients in (1, 8, 64):
                count = max(20, int(clients * each / latency))
                alone = await closed(
                    there.policy_port, path, lambda n: chat(n, POLICY), clients, count, 10**6, latency
                )
                cpu = there.server.cpu
                load = await closed(
                    there.port, path, lambda n, m=model: chat(n, m), clients, count, first, latency
                )
                cpu = there.server.cpu - cpu
                first += count
                added = (load.quantile(0.5) - alone.quantile(0.5)) * 1e3
                rows.append(
                    {
                        "way": way,
                        "clients": clients,
                        "requests": count,
                        "statuses": dict(load.statuses),
                        "upstream_p50_ms": alone.quantile(0.5) * 1e3,
                        "added_p50_ms": added,
                        "added_p99_ms": (load.quantile(0.99) - alone.quantile(0.99)) * 1e3,
                        "throughput": load.rate / alone.rate,
                        "cpu_ms": cpu / count * 1e3,
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    return {"latency": latency, "rows": rows}


async def plan(seconds: float) -> dict[str, Any]:
    """``/v1/plan``: another question every time."""

    def body(number: int) -> Any:
        return {
            "question": f"What is ({number % 97}+{number // 97 % 89})+{number}?",
            "budget": {"tokens": 800},
        }

    rows = []
    with house(0.05) as there:
        await closed(there.port, "/v1/plan", body, 4, 500, 10**7)
        for rate in (100.0, 250.0, 500.0, None):
            cpu = there.server.cpu
            if rate is None:
                load = await closed(there.port, "/v1/plan", body, 16, int(500 * seconds), 10**6)
            else:
                load = await paced(there.port, "/v1/plan", body, rate, seconds)
            rows.append(
                {
                    "asked_per_s": rate,
                    "answered_per_s": load.rate,
                    "statuses": dict(load.statuses),
                    "p50_ms": load.quantile(0.5) * 1e3,
                    "p99_ms": load.quantile(0.99) * 1e3,
                    "cpu_ms": (there.server.cpu - cpu) / len(load.took) * 1e3,
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return {"rows": rows}


async def memory(count: int) -> dict[str, Any]:
    """Resident memory every tenth of ``count`` requests, half of them answers and half plans."""
    rows = []
    with house(0.0) as there:
        for part in range(10):
            first = 1 + part * count // 10
            half = count // 20
            await closed(
                there.port, "/v1/chat/completions", lambda n: chat(n, "planner/cot()"), 32, half, first
            )
            await closed(
                there.port, "/v1/plan", lambda n: {"question": f"What is (1+2)+{n}?"}, 32, half, first + half
            )
            rows.append({"requests": (part + 1) * count // 10, "mib": there.server.memory})
            print(json.dumps(rows[-1]), flush=True)
    return {"rows": rows}


#: seconds that hurry nobody
_UNHURRIED = 60.0
#: seconds, and models: half of the requests leave the plan to the planner
_SECONDS = (0.5, 1.0, 2.0, 5.0)
_TIMED = (
    "planner",
    "planner",
    "planner",
    "planner/cot()",
    "planner/majority(n=16)",
    "planner/best_of_n(n=8, score=last)",
)
#: 0.14 s for a child of 15 tokens alone, 0.23 s with 200 beside it, varied by a quarter
_PACE = ("--per-token", "0.006", "--crowd", "0.005", "--spread", "0.25")


@dataclass
class Timed:
    """What clients saw of requests with one budget in seconds."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)  # of answers
    right: int = 0

    def row(self, clients: int) -> dict[str, Any]:
        """Shares of all requests; ``used`` of the budget, by answers; ``right`` of the answers."""
        asked, answered = self.statuses.total(), self.statuses[200]
        late = sum(took > self.seconds for took in self.took)
        ranked = sorted(self.took) or [float("nan")]
        return {
            "clients": clients,
            "seconds": self.seconds,
            "requests": asked,
            "kept": (answered - late) / asked,
            "late": late / asked,
            "timeout": self.statuses[504] / asked,
            "statuses": dict(self.statuses),
            "p50_s": ranked[len(ranked) // 2],
            "p99_s": ranked[len(ranked) * 99 // 100],
            "used": ranked[len(ranked) // 2] / self.seconds,
            "right": self.right / max(1, answered),
        }


async def deadlines(each: float, pause: float, seed: int, stretch: float) -> dict[str, Any]:
    """Budgets of several sizes, models of several kinds; ``each``: seconds of a figure, beside a warm-up.

    ``stretch``: all times are so much longer, so that what else runs on the machine matters less.
    """
    rows, pause = [], pause * stretch
    pace = [str(float(word) * stretch) if place == 1 else word for place, word in enumerate(_PACE)]
    sizes = [seconds * stretch for seconds in _SECONDS]
    with house(0.05 * stretch, pace=pace) as there:
        numbers = iter(range(1, 10**9))
        await _timed(there, 8, (_UNHURRIED,), each / 2, pause, Random(seed), numbers)
        for clients, budgets in ((8, [_UNHURRIED]), (8, sizes), (32, sizes), (64, sizes)):
            cpu, began = there.server.cpu, time.monotonic()
            found = await _timed(there, clients, budgets, each, pause, Random(seed), numbers)
            busy = (there.server.cpu - cpu) / (time.monotonic() - began)
            for timed in found:
                rows.append({**timed.row(clients), "busy": busy})
                print(json.dumps(rows[-1]), flush=True)
    return {"pace": " ".join(pace), "pause": pause, "seed": seed, "stretch": stretch, "rows": rows}


async def _timed(
    there: House,
    clients: int,
    budgets: Sequence[float],
    each: float,
    pause: float,
    random: Random,
    numbers: Iterator[int],
) -> list[Timed]:
    """Clients that ask, wait a while, and ask again."""
    found = {seconds: Timed(seconds) for seconds in budgets}
    ends = time.monotonic() + each

    async def one(random: Random) -> None:
        client = Client(there.port)
        await asyncio.sleep(random.random() * pause)
        while time.monotonic() < ends:
            timed, number = found[random.choice(budgets)], next(numbers)
            budget, draw = {"seconds": timed.seconds}, random.getrandbits(31)
            body = chat(number, random.choice(_TIMED), seed=draw, budget=budget)
            began = time.perf_counter()
            status, said = await client.ask("/v1/chat/completions", body)
            took = time.perf_counter() - began
            timed.statuses[status] += 1
            if status == 200:
                timed.took.append(took)
                timed.right += said["planner"]["answer"] == str(13 + 64 + number)
            await asyncio.sleep(random.expovariate(1 / pause))
        client.close()

    await asyncio.gather(*(one(Random(random.random())) for _ in range(clients)))
    return list(found.values())


def written(figures: dict[str, Any]) -> str:
    """The page."""
    lines = [
        "# Speed and load of the server",
        "",
        "`python benchmarks/serve_load.py overhead` (`plan`, `memory`, `deadlines`), which says what",
        "is measured; the figures are in `serve_load.json`. Two cores for server, upstream and clients.",
    ]
    if "overhead" in figures:
        part = figures["overhead"]
        lines += [
            "",
            f"## What plan `cot` adds ({part['at']})",
            "",
            f"The upstream answers after {part['latency'] * 1e3:g} ms. Passed on: the model's name is the",
            "policy's; planned: `planner/cot()`. Throughput as a share of the upstream's, as many clients.",
            "Clients begin one after another within the first 250 ms, and each asks again at once.",
            "",
            "| way | clients | upstream p50 ms | added p50 ms | added p99 ms | throughput | server CPU ms |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['way']} | {row['clients']} | {row['upstream_p50_ms']:.1f} | {row['added_p50_ms']:.2f} |"
            f" {row['added_p99_ms']:.1f} | {row['throughput']:.1%} | {row['cpu_ms']:.2f} |"
            for row in part["rows"]
        ]
    if "plan" in figures:
        part = figures["plan"]
        lines += [
            "",
            f"## `/v1/plan` ({part['at']})",
            "",
            "Another question every time; latency from when a request was due.",
            "",
            "| asked per s | answered per s | p50 ms | p99 ms | server CPU ms |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['asked_per_s'] or '16 clients'} | {row['answered_per_s']:.0f} | {row['p50_ms']:.1f} |"
            f" {row['p99_ms']:.1f} | {row['cpu_ms']:.2f} |"
            for row in part["rows"]
        ]
    if "memory" in figures:
        part = figures["memory"]
        told = ", ".join(f"{row['mib']:.0f}" for row in part["rows"])
        lines += [
            "",
            f"## Memory ({part['at']})",
            "",
            f"Resident MiB after every tenth of {part['rows'][-1]['requests']:,} requests (`--requests`),",
            f"half answers and half plans: {told}.",
        ]
    if "deadlines" in figures:
        part, stretch = figures["deadlines"], figures["deadlines"]["stretch"]
        columns = ["clients", "seconds", "requests", "kept", "late", "504", "p50 s", "p99 s", "used", "right"]
        lines += [
            "",
            f"## Deadlines ({part['at']})",
            "",
            "Kept: answered whole within the seconds asked for, by the client's clock. Used: the median",
            f"answer's share of them. Clients wait {part['pause']:g} s (mean) between requests. The",
            f"upstream's time grows with the children that it writes (`{part['pace']}`).",
            *([f"All times are {stretch:g} times as long (`--stretch`)."] if stretch != 1 else []),
            "",
            f"| {' | '.join(columns)} | server CPU |",
            f"|{'---|' * (len(columns) + 1)}",
        ]
        lines += [
            f"| {row['clients']} | {row['seconds']:g} | {row['requests']:,} | {row['kept']:.1%} |"
            f" {row['late']:.1%} | {row['timeout']:.1%} | {row['p50_s']:.2f} | {row['p99_s']:.2f} |"
            f" {row['used']:.0%} | {row['right']:.1%} | {row['busy']:.0%} |"
            for row in part["rows"]
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure one part, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("part", choices=("overhead", "plan", "memory", "deadlines"))
    parser.add_argument("--latency", type=float, default=0.25, help="seconds, for overhead")
    parser.add_argument("--each", type=float, default=10.0, help="seconds per figure")
    parser.add_argument("--requests", type=int, default=50_000, help="for memory")
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds between a client's requests")
    parser.add_argument("--seed", type=int, default=1, help="of the clients, for deadlines")
    parser.add_argument("--stretch", type=float, default=1.0, help="of all times, for deadlines")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the figures and the page")
    parser.add_argument("--at", default="two cores, shared with other work", help="said beside the figures")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "overhead": lambda: overhead(asked.latency, asked.each),
        "plan": lambda: plan(asked.each),
        "memory": lambda: memory(asked.requests),
        "deadlines": lambda: deadlines(asked.each, asked.pause, asked.seed, asked.stretch),
    }

    async def measure() -> dict[str, Any]:
        return await work[asked.part]()

    found = asyncio.run(measure())
    path, figures = asked.output / "serve_load.json", {}
    with suppress(FileNotFoundError):
        figures = json.loads(path.read_text())
    figures[asked.part] = {"at": f"{datetime.now(UTC):%Y-%m-%d}; {asked.at}", **found}
    path.write_text(json.dumps(figures, indent=1) + "\n")
    (asked.output / "serve_load.md").write_text(written(figures))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
