"""Campaigns on a real Ray cluster of two nodes: equal logs, whatever dies."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from search.log.comparison import difference
from search.log.store import SearchLog

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("ray_campaign.py")
PLANNER = [sys.executable, "-m", "planner"]
LAB_GRID = """
samples = 4
block = 4
n = [1, 4]
runs = 1
strategies = ["cot", "majority", "best_of_n", "beam_search"]
group = 4
"""


def scripted() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ray_campaign", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(cluster: Any, log: Path, **options: object) -> subprocess.Popen[str]:
    words = [f"{name}={value}" for name, value in options.items()]
    return driver_of(cluster, [sys.executable, str(SCRIPT), cluster.address, str(log), *words])


def driver_of(cluster: Any, words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        cluster.command(words), env=cluster.environment, stdout=subprocess.PIPE, text=True
    )


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(output[output.index("{") :])
    return found


def unbroken(folder: Path, count: int, small: bool = False) -> SearchLog:
    log = SearchLog.at(folder / "unbroken")
    scripted().unbroken(log, count, small)
    return log


def parts(log: Path) -> dict[Path, tuple[int, int]]:
    """What actors have done."""
    done = [path for path in log.rglob("part-*.parquet") if path.parent.name != "table=problems"]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in done}


def test_a_prm_on_another_node_and_the_log_of_one_process(cluster: Any, tmp_path: Path) -> None:
    told = finished(start(cluster, tmp_path / "log", problems=6, apart=1))
    assert told["done"] == told["total"]
    assert difference(SearchLog.open(tmp_path / "log"), unbroken(tmp_path, 6)) is None


def test_drivers_and_actors_die_and_nothing_is_lost_or_repeated(cluster: Any, tmp_path: Path) -> None:
    chance, path = random.Random(5), tmp_path / "log"
    before: dict[Path, tuple[int, int]] = {}
    struck = 0
    for round_ in range(2):
        driver = start(cluster, path, problems=24, pause=0.004, replicas=2)
        wanted = len(before) + 8 + 6 * round_
        while driver.poll() is None and len(parts(path)) < wanted:
            time.sleep(0.01)
        for process in chance.sample(cluster.actors(), k=1) if driver.poll() is None else []:
            os.kill(process, signal.SIGKILL)
            struck += 1
        wanted = len(parts(path)) + 4
        while driver.poll() is None and len(parts(path)) < wanted:
            time.sleep(0.01)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        now = parts(path)
        assert {part: now[part] for part in before} == before
        before = now
    assert struck >= 1
    told = finished(start(cluster, path, problems=24, replicas=2))
    now = parts(path)
    assert {part: now[part] for part in before} == before
    assert told["done"] == told["total"]
    assert difference(SearchLog.open(path), unbroken(tmp_path, 24)) is None


def test_an_actor_that_crashes_costs_what_it_was_doing(cluster: Any, tmp_path: Path) -> None:
    ends = tmp_path / "ended"
    told = finished(start(cluster, tmp_path / "log", problems=6, replicas=2, ends=ends))
    assert ends.exists()
    assert told["done"] == told["total"]
    log = SearchLog.open(tmp_path / "log")
    assert log.rows("failures") == 0
    assert difference(log, unbroken(tmp_path, 6)) is None


def test_the_embedded_engine_makes_the_log_of_one_process_though_an_actor_is_killed(
    cluster: Any, tmp_path: Path
) -> None:
    with gzip.open(ROOT / "models" / "lab" / "test.jsonl.gz", "rt") as lines:
        (tmp_path / "problems.jsonl").write_text("".join(islice(lines, 12)))
    (tmp_path / "grid.toml").write_text(LAB_GRID)
    search = [*PLANNER, "search", str(tmp_path / "problems.jsonl"), "--grid", str(tmp_path / "grid.toml")]
    search += ["--policy", "lab-policy-s", "--prm", "lab-prm-good", "--json", "-o"]
    alone = finished(driver_of(cluster, [*search, str(tmp_path / "one")]))
    on_ray = [*search, str(tmp_path / "log"), "--ray", cluster.address, "--actors", "2"]
    driver = driver_of(cluster, on_ray)
    while driver.poll() is None and len(parts(tmp_path / "log")) < 2:
        time.sleep(0.01)
    struck = cluster.actors()[:1]
    for process in struck:
        os.kill(process, signal.SIGKILL)
    assert finished(driver)["rows"] == alone["rows"]
    assert struck
    assert difference(SearchLog.open(tmp_path / "log"), SearchLog.open(tmp_path / "one")) is None
    assert finished(driver_of(cluster, on_ray))["tokens"] == 0


def test_a_node_dies_and_its_actors_go_on_elsewhere(cluster: Any, tmp_path: Path) -> None:
    added = cluster.add_node(cpus=1)
    driver = start(cluster, tmp_path / "log", problems=16, pause=0.004, replicas=3)
    while driver.poll() is None and len(parts(tmp_path / "log")) < 14:
        time.sleep(0.01)
    cluster.remove_node(added)
    told = finished(driver)
    assert told["done"] == told["total"]
    assert difference(SearchLog.open(tmp_path / "log"), unbroken(tmp_path, 16)) is None


@pytest.mark.parametrize("how", ["poison", "wrong"])
def test_one_problem_that_cannot_be_done_stops_no_other(cluster: Any, tmp_path: Path, how: str) -> None:
    asked: dict[str, object] = {"problems": 6, "small": 1}
    told = finished(start(cluster, tmp_path / "log", replicas=2, deaths=2, **asked, **{how: 3}))
    assert told["done"] == told["total"]
    log, whole = SearchLog.open(tmp_path / "log"), unbroken(tmp_path, 6, small=True)
    failures = log.read("failures")
    assert failures["problem_id"].unique().to_list() == ["p03"]
    assert set(failures["stage"]) == {"samples", "runs"}
    for table in ("samples", "scores", "runs"):
        others = whole.read(table, ["problem_id"])["problem_id"].to_list()
        assert sorted(log.read(table, ["problem_id"])["problem_id"]) == sorted(
            name for name in others if name != "p03"
        )
    again = finished(start(cluster, tmp_path / "log", **asked))
    assert (again["done"], again["tokens"]) == (again["total"], 0)
