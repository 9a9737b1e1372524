"""A campaign in a process of its own, really killed, several times, at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import scripted_campaign as scripted

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog

SCRIPT = Path(__file__).parents[1] / "scripted_campaign.py"
ROOT = Path(__file__).parents[3]


def parts(log: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in log.rglob("part-*.parquet")}


def start(log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
    return subprocess.Popen([sys.executable, str(SCRIPT), str(log)], env=environment, stdout=subprocess.PIPE)


def test_kill_dash_nine_loses_and_repeats_nothing(tmp_path: Path) -> None:
    rng = random.Random(11)
    path = tmp_path / "log"
    before: dict[Path, tuple[int, int]] = {}
    killed = 0
    for _ in range(5):
        process = start(path)
        wanted = len(before) + rng.randint(1, 5)
        while process.poll() is None and len(parts(path)) < wanted:
            time.sleep(0.005)
        time.sleep(rng.random() * 0.04)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        now = parts(path)
        assert {part: now[part] for part in before} == before  # nothing lost, nothing written again
        before = now
        if rng.random() < 0.5:  # as if the kill had hit in the middle of a write
            (path / "table=samples" / "part-0.parquet.1.partial").write_bytes(b"PAR1half")
    assert killed >= 3

    process = start(path)
    output, _ = process.communicate(timeout=60)
    assert output == b"finished\n"
    now = parts(path)
    assert {part: now[part] for part in before} == before
    assert not list(path.rglob("*.partial"))

    unbroken = SearchLog.at(tmp_path / "unbroken")
    loader = ReadyLoader([scripted.engine()], [scripted.reward()])
    Campaign(scripted.problems(8), Grid.of(scripted.GRID), unbroken, loader).run()
    assert difference(SearchLog.open(path), unbroken) is None
    assert {part.relative_to(path) for part in now} == {
        part.relative_to(unbroken.path) for part in parts(unbroken.path)
    }
