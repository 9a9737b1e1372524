"""What a campaign on a cluster costs beyond its models, where its driver saturates, and what kills do.

    python benchmarks/scale.py actors              # 1, 2, 4 and 8 Ray actors on an engine of fixed latency
    python benchmarks/scale.py driver              # 8 actors that answer at once: all that the driver can do
    python benchmarks/scale.py kills --minutes 15  # two nodes; actors, nodes and drivers are killed at random
    python benchmarks/scale.py lab --problems 96   # the lab's campaign on two nodes, beside one process
    python benchmarks/scale.py fits --rows 100000 1000000  # fits by the size of the log

Each writes its part of ``scale.json`` and the tables of ``scale.md`` beside it; sizes of fits that were
measured earlier stay. It asserts nothing.

``actors``: the engine sleeps, so the figures are those of everything but the models. Efficiency is the time
that the engines slept, over the time that it took; overhead per unit is what an actor waited for between two
units. ``driver``: CPU seconds of the driver's process per unit, all of its threads, beside the rate that was
reached. ``kills`` and ``lab`` run on two nodes in network namespaces of this machine
(``search.testing.ray_nodes``), which takes root and iproute2. A node is killed by ending its network first.
``fits``: as ``fit_speed.py`` measures, on its logs, without trials, since trials are judged on 2,048 problems
at most: what is left is what grows with the log. A fit is ended after ``--limit`` CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from fit_speed import READ, measured
from generated_log import CHOICES, generated_log
from scale_page import page

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.cluster.campaign import ClusterCampaign
from search.cluster.placement import Placement
from search.cluster.ray_session import ray_session
from search.engines.scripted import TURN, ScriptedEngine
from search.loader import Loader, ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog
from search.problem import Problem
from search.rewards.scripted import ScriptedReward
from search.testing.ray_nodes import NamespaceCluster

HERE = Path(__file__).parent
#: one request is one unit
FLAT = {"pair": [{"policy": "m"}], "n": [1], "samples": 1, "block": 1, "group": 1, "strategies": ["majority"]}
#: all stages that a campaign has
WHOLE = {
    "pair": [{"policy": "m", "prm": "r"}],
    "n": [1, 4],
    "samples": 8,
    "block": 4,
    "group": 2,
    "runs": 2,
    "strategies": ["cot", "majority", "best_of_n", "beam_search"],
    "seed": 5,
}
LAB_GRID = """
samples = 16
block = 8
n = [1, 4, 16]
tree_n = [4]
width = [2]
runs = 1
strategies = ["cot", "majority", "best_of_n", "weighted_vote", "beam_search"]
group = 8
"""
PLANNER = [sys.executable, "-m", "planner"]


def sleeping(latency: float) -> Loader:
    """One policy that answers after so many seconds."""

    def write(text: str, rng: Random) -> str:
        time.sleep(latency)
        return f"# {rng.randrange(9)}"

    return ReadyLoader([ScriptedEngine(write, name="m")])


def judged(latency: float) -> Loader:
    """A policy that takes so many seconds for a line, and a PRM."""

    def write(text: str, rng: Random) -> str:
        time.sleep(latency)
        lines = [f"think {rng.randrange(10)}", f"# {rng.randrange(3)}"]
        return "\n".join(lines[text.partition(TURN)[2].count("\n") :])

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return (len(steps[-1]) + len(question) % 7) / 100

    return ReadyLoader([ScriptedEngine(write, name="m")], [ScriptedReward(judge, name="r")])


def problems(count: int) -> list[Problem]:
    """As many units of work, where a grid is flat."""
    return [Problem(f"p{n:05}", f"f{n % 7}", "text", f"which is {n}?", str(n)) for n in range(count)]


def campaign(
    ray: Any, log: SearchLog, count: int, actors: int, grid: dict[str, Any], make: Callable[[], Loader]
) -> ClusterCampaign:
    """On a cluster, with actors that ask for little."""
    return ClusterCampaign(
        problems(count),
        Grid.of(grid),
        log,
        make(),
        ray=ray,
        make_loader=make,
        placements={"m": Placement(replicas=actors, cpus=0.05)},
    )


def timed(ray: Any, folder: Path, units: int, actors: int, latency: float) -> dict[str, float]:
    """Seconds and the driver's CPU seconds, from when all actors are at work until the last unit."""
    log = SearchLog.at(folder / f"log-{actors}-{units}")
    ends: list[tuple[int, float, float]] = []
    campaign(ray, log, units, actors, FLAT, partial(sleeping, latency)).run(
        lambda state: ends.append((state.done, time.monotonic(), time.process_time()))
    )
    first = next(end for end in ends if end[0] >= 2 * actors)
    last = next(end for end in ends if end[0] == units)
    return {"units": last[0] - first[0], "seconds": last[1] - first[1], "cpu": last[2] - first[2]}


def actors(latency: float, each: int) -> dict[str, Any]:
    """Efficiency by actors."""
    rows = []
    with ray_session("local", cpus=2) as ray, TemporaryDirectory() as folder:
        for count in (1, 2, 4, 8):
            found = timed(ray, Path(folder), each * count, count, latency)
            ideal = latency * found["units"] / count
            rows.append(
                {
                    "actors": count,
                    "units": each * count,
                    "seconds": found["seconds"],
                    "efficiency": ideal / found["seconds"],
                    "overhead_ms": 1000.0 * (found["seconds"] - ideal) * count / found["units"],
                    "driver_ms": 1000.0 * found["cpu"] / found["units"],
                }
            )
    return {"latency": latency, "rows": rows}


def driver(units: int) -> dict[str, Any]:
    """Eight actors that answer at once."""
    rows = []
    with ray_session("local", cpus=2) as ray, TemporaryDirectory() as folder:
        for count in (units // 4, units):
            found = timed(ray, Path(folder), count, 8, 0.0)
            cpu = found["cpu"] / found["units"]
            rows.append(
                {
                    "units": count,
                    "driver_ms": 1000.0 * cpu,
                    "reached": found["units"] / found["seconds"],
                    "saturates": 1.0 / cpu,
                }
            )
    return {"rows": rows}


# -- kills


@dataclass
class Struck:
    """What was killed."""

    actors: int = 0
    nodes: int = 0
    drivers: int = 0
    started: int = 0
    logs: list[dict[str, Any]] = field(default_factory=list)


def kills(minutes: float, count: int, latency: float) -> dict[str, Any]:
    """Campaigns one after the other, until the time is over; each is compared with one process's."""
    struck, chance, until = Struck(), random.Random(7), time.monotonic() + 60.0 * minutes
    began = time.monotonic()
    cluster = NamespaceCluster()
    ended = threading.Event()
    try:
        nodes = [cluster.add_node()]
        with TemporaryDirectory() as folder:
            one = SearchLog.at(Path(folder) / "one")
            Campaign(problems(count), Grid.of(WHOLE), one, judged(0.0)).run()

            def node_dies() -> None:
                cluster.remove_node(nodes.pop())
                struck.nodes += 1
                nodes.append(cluster.add_node())

            def strike() -> None:
                while not ended.wait(4.0 + 8.0 * chance.random()) and time.monotonic() < until:
                    if chance.random() < 0.1:
                        node_dies()
                    elif found := cluster.actors():
                        os.kill(chance.choice(found), signal.SIGKILL)
                        struck.actors += 1

            killer = threading.Thread(target=strike)
            killer.start()
            while time.monotonic() < until:
                log = Path(folder) / f"log-{len(struck.logs)}"
                struck.logs.append(one_log(cluster, log, one, count, latency, struck, chance, until))
                print(struck.logs[-1], flush=True)
            ended.set()
            killer.join()
    finally:
        ended.set()
        cluster.shutdown()
    return {
        "seconds": time.monotonic() - began,
        "killed": {"actors": struck.actors, "nodes": struck.nodes, "drivers": struck.drivers},
        "drivers": struck.started,
        "logs": struck.logs,
    }


def one_log(
    cluster: NamespaceCluster,
    path: Path,
    one: SearchLog,
    count: int,
    latency: float,
    struck: Struck,
    chance: random.Random,
    until: float,
) -> dict[str, Any]:
    """Drivers, one after the other, until one comes to its end; some are killed."""
    seen: dict[str, tuple[int, int]] = {}
    repeated = lost = 0
    while True:
        words = [sys.executable, __file__, "drive", "--log", str(path), "--units", str(count)]
        process = subprocess.Popen(
            cluster.command([*words, "--latency", str(latency)]), env=cluster.environment
        )
        struck.started += 1
        life = 40.0 + 80.0 * chance.random()
        try:
            process.wait(life if time.monotonic() + life < until else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            struck.drivers += 1
        now = {
            str(part): (part.stat().st_mtime_ns, part.stat().st_ino) for part in path.rglob("part-*.parquet")
        }
        lost += sum(name not in now for name in seen)
        repeated += sum(now.get(name, stamp) != stamp for name, stamp in seen.items())
        seen = now
        if process.returncode != -signal.SIGKILL:
            break
    log = SearchLog.open(path)
    return {
        "units": len(seen),
        "ended": process.returncode,
        "repeated": repeated,
        "lost": lost,
        "failures": log.rows("failures"),
        "difference": difference(log, one),
    }


def drive(address: str, log: str, count: int, latency: float) -> None:
    """One driver of ``kills``."""
    with ray_session(address) as ray:
        campaign(ray, SearchLog.at(log), count, 4, WHOLE, partial(judged, latency)).run()


# -- the lab


def lab(count: int) -> dict[str, Any]:
    """``planner search`` of the shipped models: one process, then two actors on two nodes."""
    import gzip

    with gzip.open(HERE.parent / "models" / "lab" / "test.jsonl.gz", "rt") as known:
        lines = [*islice(known, count)]
    cluster = NamespaceCluster(cpus=1)
    try:
        cluster.add_node(cpus=1)
        with TemporaryDirectory() as folder:
            (Path(folder) / "problems.jsonl").write_text("".join(lines))
            (Path(folder) / "grid.toml").write_text(LAB_GRID)
            rows = {}
            for name, options in {
                "one": [],
                "cluster": ["--ray", cluster.address, "--actors", "2"],
            }.items():
                words = [*PLANNER, "search", f"{folder}/problems.jsonl", "--grid", f"{folder}/grid.toml"]
                words += ["--policy", "lab-policy-m", "--prm", "lab-prm-good", "-o", f"{folder}/{name}"]
                began = time.monotonic()
                done = subprocess.run(
                    cluster.command([*words, "--json", *options]),
                    env=cluster.environment,
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                rows[name] = {**json.loads(done.stdout), "whole_seconds": time.monotonic() - began}
            logs = [SearchLog.open(f"{folder}/{name}") for name in rows]
            return {"problems": count, **rows, "difference": difference(*logs)}
    finally:
        cluster.shutdown()


# -- fits


def fits(sizes: Sequence[int], limit: int, keep: Path) -> list[dict[str, Any]]:
    """CPU seconds and memory of reading a log, and of a fit without trials."""
    keep.mkdir(parents=True, exist_ok=True)
    rows = []
    for size in sizes:
        log = keep / f"log-{size}"
        if not log.exists():
            generated_log(keep / f"half-{size}", -(-size // len(CHOICES)))
            (keep / f"half-{size}").rename(log)
        row: dict[str, Any] = {"rows": size, "read": measured([sys.executable, "-c", READ, str(log)], 1)}
        print(row, flush=True)
        with TemporaryDirectory() as folder:
            words = [*PLANNER, "fit", str(log), "-o", f"{folder}/planner", "--trials", "0"]
            try:
                row["fit"] = measured(["prlimit", f"--cpu={limit}", *words], 1)
            except SystemExit as ended:
                row["fit"] = None
                print(ended, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("part", choices=("actors", "driver", "kills", "lab", "fits", "drive", "page"))
    asked.add_argument(
        "--latency", type=float, help="of an answer, in seconds: 1, and of a line in kills 0.05"
    )
    asked.add_argument("--units", type=int, help="per actor 30; in all 2,000; problems of kills 48")
    asked.add_argument("--minutes", type=float, default=15.0)
    asked.add_argument("--problems", type=int, default=96, help="of the lab")
    asked.add_argument("--rows", type=int, nargs="*", default=[10**5, 10**6], help="sizes of fits")
    asked.add_argument("--limit", type=int, default=900, help="CPU seconds of a fit")
    asked.add_argument("--keep", type=Path, default=Path("fits"), help="where the logs of fits are kept")
    asked.add_argument("--address", default="10.77.0.1:6379", help=argparse.SUPPRESS)
    asked.add_argument("--log", help=argparse.SUPPRESS)
    told = asked.parse_args()
    if told.part == "drive":
        drive(told.address, told.log, told.units, told.latency)
        return
    kept = HERE / "scale.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    load = os.getloadavg()[0]
    if told.part == "actors":
        found["actors"] = actors(told.latency or 1.0, told.units or 30)
    elif told.part == "driver":
        found["driver"] = driver(told.units or 2000)
    elif told.part == "kills":
        found["kills"] = kills(told.minutes, told.units or 48, told.latency or 0.05)
    elif told.part == "lab":
        found["lab"] = lab(told.problems)
    elif told.part == "fits":
        rows = fits(told.rows, told.limit, told.keep)
        known = {row["rows"]: row for row in [*found.get("fits", {}).get("rows", []), *rows]}
        found["fits"] = {"limit": told.limit, "rows": [known[size] for size in sorted(known)]}
    if told.part != "page":
        found[told.part]["load"] = {"before": load, "after": os.getloadavg()[0]}
        found["machine"] = {"cpus": os.cpu_count(), "system": platform.system()}
        kept.write_text(json.dumps(found, indent=2) + "\n")
    (HERE / "scale.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
