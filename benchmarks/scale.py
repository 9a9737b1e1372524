"""What a campaign on a cluster costs beyond its models: efficiency by actors, and where the driver saturates.

    python benchmarks/scale.py driver            # service time of the driver per unit, without Ray
    python benchmarks/scale.py actors            # 1, 2, 4 and 8 Ray actors on an engine of fixed latency
    python benchmarks/scale.py kills --minutes 15  # a two-node cluster whose actors are killed at random

Each writes its part of ``scale.json`` and the tables of ``scale.md`` beside it. The engine of ``actors``
sleeps: so the figures are those of everything but the models.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import threading
import time
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.cluster.campaign import ClusterCampaign
from search.cluster.fake_ray import FakeRay
from search.cluster.placement import Placement
from search.cluster.ray_session import ray_session
from search.engines.scripted import ScriptedEngine
from search.loader import Loader, ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog
from search.problem import Problem

HERE = Path(__file__).parent
GRID = {"pair": [{"policy": "m"}], "n": [1], "samples": 1, "block": 1, "group": 1, "strategies": ["majority"]}


def models(latency: float = 0.0) -> Loader:
    """One policy that answers after so many seconds."""

    def write(text: str, rng: Random) -> str:
        time.sleep(latency)
        return f"# {rng.randrange(9)}"

    return ReadyLoader([ScriptedEngine(write, name="m")])


def problems(count: int) -> list[Problem]:
    """As many units of work."""
    return [Problem(f"p{n:05}", f"f{n % 7}", "text", f"which is {n}?", str(n)) for n in range(count)]


def run(ray: Any, folder: Path, units: int, actors: int, latency: float) -> tuple[float, SearchLog]:
    """Seconds from the first unit to the last, and the log."""
    log = SearchLog.at(folder / f"log-{actors}-{units}")
    campaign = ClusterCampaign(
        problems(units),
        Grid.of(GRID),
        log,
        models(),
        ray=ray,
        make_loader=partial(models, latency),
        placements={"m": Placement(replicas=actors, cpus=0.05)},
    )
    ends: list[tuple[int, float]] = []
    campaign.run(lambda state: ends.append((state.done, time.monotonic())))
    began = next(at for done, at in ends if done >= actors)  # all actors have been at work since
    left = units - next(done for done, at in ends if at == began)
    return (ends[-1][1] - began) * units / left, log


def driver() -> dict[str, Any]:
    """Actors are threads of this process that answer at once: what is left is the driver."""
    with TemporaryDirectory() as folder:
        rows = []
        for units in (200, 1000):
            seconds, _ = run(FakeRay(), Path(folder), units, 2, 0.0)
            rows.append({"units": units, "milliseconds": 1000.0 * seconds / units})
    return {"rows": rows, "units_per_second": 1000.0 / rows[-1]["milliseconds"]}


def actors(address: str, latency: float, each: int) -> dict[str, Any]:
    """Efficiency: the time that the sleeping engine takes, over the time that it took."""
    rows = []
    with ray_session(address) as ray, TemporaryDirectory() as folder:
        for count in (1, 2, 4, 8):
            units = each * count
            seconds, _ = run(ray, Path(folder), units, count, latency)
            ideal = latency * units / count
            rows.append(
                {
                    "actors": count,
                    "units": units,
                    "seconds": seconds,
                    "efficiency": ideal / seconds,
                    "overhead_ms": 1000.0 * (seconds - ideal) * count / units,
                }
            )
    return {"latency": latency, "rows": rows}


def kills(minutes: float) -> dict[str, Any]:
    """A cluster of two nodes on this machine; a random actor is killed every few seconds."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options = {"num_cpus": 2, "object_store_memory": 100 * 1024 * 1024}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    cluster.add_node(**options)
    latency, ended, struck = 0.5, threading.Event(), [0]
    units = int(60.0 * minutes / latency * 2.0)
    chance = random.Random(7)

    def strike() -> None:
        while not ended.wait(5.0 + 10.0 * chance.random()):
            told = subprocess.run(
                ["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True
            ).stdout
            found = [int(line.split()[0]) for line in told.splitlines() if "ray::Worker" in line]
            if found:
                os.kill(chance.choice(found), signal.SIGKILL)
                struck[0] += 1

    killer = threading.Thread(target=strike)
    try:
        with ray_session(cluster.address) as ray, TemporaryDirectory() as folder:
            killer.start()
            seconds, log = run(ray, Path(folder), units, 4, latency)
            ended.set()
            killer.join()
            one = SearchLog.at(Path(folder) / "one")
            Campaign(problems(units), Grid.of(GRID), one, models()).run()
            return {
                "nodes": 2,
                "actors": 4,
                "units": units,
                "seconds": seconds,
                "killed": struck[0],
                "failures": log.rows("failures"),
                "difference": difference(log, one),
            }
    finally:
        ended.set()
        cluster.shutdown()


def table(found: dict[str, Any]) -> str:
    """The page."""
    lines = ["# Campaigns on a cluster", "", "Made by `python benchmarks/scale.py` (see there)."]
    if "driver" in found:
        lines += ["", "## The driver alone", "", "| units | ms per unit |", "|---|---|"]
        lines += [f"| {row['units']:,} | {row['milliseconds']:.1f} |" for row in found["driver"]["rows"]]
        rate = found["driver"]["units_per_second"]
        lines += [
            "",
            f"One driver saturates at {rate:.0f} units per second: {rate:.0f} actors whose units take a",
        ]
        lines += [f"second each, {60 * rate:,.0f} whose units take a minute."]
    if "actors" in found:
        lines += ["", f"## Actors, each unit {found['actors']['latency']:g} s", ""]
        lines += [
            "| actors | units | seconds | efficiency | overhead per unit, ms |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['actors']} | {row['units']} | {row['seconds']:.1f} | {100 * row['efficiency']:.1f}% "
            f"| {row['overhead_ms']:.1f} |"
            for row in found["actors"]["rows"]
        ]
    if "kills" in found:
        row = found["kills"]
        lines += ["", "## Two nodes on one machine, actors killed at random", ""]
        lines += [
            "| minutes | units | actors killed | failed units | equal to one process |",
            "|---|---|---|---|---|",
        ]
        equal = "yes" if row["difference"] is None else f"no: {row['difference']}"
        lines += [
            f"| {row['seconds'] / 60:.1f} | {row['units']} | {row['killed']} | {row['failures']} | {equal} |"
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("part", choices=("driver", "actors", "kills"))
    asked.add_argument("--address", default="local")
    asked.add_argument("--latency", type=float, default=1.0)
    asked.add_argument("--units", type=int, default=30, help="per actor")
    asked.add_argument("--minutes", type=float, default=15.0)
    told = asked.parse_args()
    kept = HERE / "scale.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    if told.part == "driver":
        found["driver"] = driver()
    elif told.part == "actors":
        found["actors"] = actors(told.address, told.latency, told.units)
    else:
        found["kills"] = kills(told.minutes)
    found["machine"] = {"cpus": os.cpu_count(), "system": platform.system(), "load": os.getloadavg()}
    kept.write_text(json.dumps(found, indent=2) + "\n")
    (HERE / "scale.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
