"""Programs graded per second: jailed interpreters forked ahead against a fresh interpreter for each.

``python benchmarks/program_grading.py`` prints one line per way and the ratio. The ways take turns, a few
programs at a time, so that whatever else the machine does meets all of them. Every program is another one,
with tests of its own, and half of them are wrong; that every verdict is right is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from search.grading.programs import jail
from search.grading.programs.sandbox import DEFAULT, RUNNER, Ending, run

#: programs per turn
_SLICE = 8

Task = tuple[str, str, bool]


def tasks(count: int, first: int) -> list[Task]:
    """Programs, their tests, and whether they pass."""
    made = []
    for n in range(first, first + count):
        right = n % 2 == 0
        program = (
            "from typing import List\nimport math\n\n"
            f"def f(values: List[int]) -> List[int]:\n"
            f"    return sorted(v * {n if right else n + 1} for v in values)\n"
        )
        tests = f"def check(g):\n    assert g([3, 1]) == [{n}, {3 * n}]\n    assert g([]) == []\n\ncheck(f)\n"
        made.append((program, tests, right))
    return made


def forked(task: Task) -> bool:
    """Graded as the product does."""
    return run(task[0], tests=task[1]).ending is Ending.FINISHED


def fresh(task: Task) -> bool:
    """Graded in an interpreter of its own that is started for it: the way of the releases before."""
    limits = {name: value for name, value in asdict(DEFAULT).items() if name != "seconds"}
    command = [sys.executable, "-I", "-S", "-B", str(Path(jail.__file__)), json.dumps(limits), RUNNER]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        given.write(json.dumps({"program": task[0], "calls": [], "tests": task[1]}).encode())
        given.seek(0)
        subprocess.run(
            command, stdin=given, stdout=told, env={}, cwd="/", timeout=DEFAULT.seconds, check=False
        )
        told.seek(0)
        return bool(json.loads(told.read().splitlines()[-1])["ending"] == "finished")


def timed(grade: Callable[[Task], bool], work: Sequence[Task], threads: int) -> float:
    """Seconds for some programs. Raises ValueError for a wrong verdict."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(grade, work))
    seconds = time.perf_counter() - begin
    if found != [right for _, _, right in work]:
        raise ValueError(f"every verdict must be right, got {found} for {[right for _, _, right in work]}")
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--programs", type=int, default=96, help="per way (default: 96)")
    options = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0))
    ways = {
        "a fresh interpreter each, 1 thread": (fresh, 1),
        "forked ahead, 1 thread": (forked, 1),
        f"forked ahead, {cores} threads": (forked, cores),
    }
    seconds = dict.fromkeys(ways, 0.0)
    first = 2
    for grade, threads in ways.values():  # caches and the server are warm for all
        timed(grade, tasks(2, first), threads)
        first += 2
    turns = max(options.programs // _SLICE, 1)
    for _ in range(turns):
        for name, (grade, threads) in ways.items():
            seconds[name] += timed(grade, tasks(_SLICE, first), threads)
            first += _SLICE
    done = turns * _SLICE
    speed = {name: done / taken for name, taken in seconds.items()}
    old = speed[next(iter(ways))]
    print(f"{done} programs each way, taking turns, {cores} cores")
    for name, per_second in speed.items():
        print(f"{name:36} {per_second:7.1f} programs/s {per_second / old:6.1f}x")


if __name__ == "__main__":
    main()
