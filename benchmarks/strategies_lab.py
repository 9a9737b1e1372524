"""The lab part of ``strategies.py``: a campaign in blocks of questions, and what it took.

Every block is drawn, scored and run by all plans before the next one begins, so whatever is there can be
compared. A search log holds it: start it again and it goes on where it was. Trees that differ in their vote
are run once. Beside the log, ``seconds.jsonl`` keeps the CPU seconds of each unit of work, whatever else the
machine does: the lab's engine does one unit at a time, in batches of a block's questions, on one thread.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from strategies_lab_plans import BLOCK, LARGER, POLICY, PRM, grids, questions

from search.campaigns.campaign import Campaign, Progress
from search.loader import FolderLoader
from search.log.store import SearchLog
from search.sync import run_sync

__all__ = ["StageSeconds", "pace", "run"]

MODELS = Path(__file__).resolve().parents[1] / "models"


def run(path: Path, count: int, minutes: float) -> None:
    """Do what the log does not hold yet, on one thread. No block is begun after ``minutes``."""
    torch.set_num_threads(1)
    until = time.monotonic() + 60.0 * minutes
    every, log = questions(count), SearchLog.at(path)
    loader = FolderLoader({name: MODELS / name for name in (POLICY, LARGER)}, {PRM: MODELS / PRM})
    try:
        for last in range(BLOCK, len(every) + BLOCK, BLOCK):
            block = every[:last]
            for grid in grids():
                for pair in grid.pair:  # loading is no unit's time
                    loader.engine(pair.policy)
                    if pair.prm is not None:
                        loader.reward(pair.prm)
                if time.monotonic() < until:
                    clock = _Clock(path / "seconds.jsonl", min(BLOCK, len(every)))
                    Campaign(block, grid, log, loader).run(clock.hear)
                    print(f"\n{len(block)} questions of {len(every)}: {grid.policies[0]}", file=sys.stderr)
    finally:
        run_sync(loader.close())


class _Clock:
    """Writes down how long each unit took: a line with its stage, its questions and its seconds."""

    def __init__(self, path: Path, asked: int) -> None:
        self._path, self._asked = path, asked
        self._done = -1
        self._since = time.process_time()

    def hear(self, progress: Progress) -> None:
        """What a campaign tells as units end, and once a second."""
        if progress.done == self._done:
            return
        now = time.process_time()
        if self._done >= 0:
            line = {"stage": progress.stage, "questions": self._asked, "seconds": round(now - self._since, 3)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(f"\r{progress.done}/{progress.total} {progress.stage[:90]:90}", end="", file=sys.stderr)
        self._done, self._since = progress.done, now


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Seconds of the machine per question: by the stage of a campaign's unit (``search.campaigns.unit``)."""

    seconds: Mapping[str, float]

    def greedy(self, policy: str) -> float | None:
        """The greedy answer."""
        return self.seconds.get(f"{policy}: greedy answers")

    def sample(self, policy: str, block: int) -> float | None:
        """One sample, by the first block of draws."""
        found = self.seconds.get(f"{policy}: samples 0-{block - 1}")
        return None if found is None else found / block

    def scoring(self, policy: str, prm: str, block: int) -> float | None:
        """Scoring one sample."""
        found = self.seconds.get(f"{policy}: scores by {prm} of samples 0-{block - 1}")
        return None if found is None else found / block

    def run(self, policy: str, plan: str, prm: str) -> float | None:
        """A run of a plan that was run for itself."""
        return self.seconds.get(f"{policy}: {plan} under {prm}, run 0")


def pace(path: Path) -> StageSeconds:
    """What ``seconds.jsonl`` in a log's folder holds; nothing where it is not there."""
    took: defaultdict[str, float] = defaultdict(float)
    asked: defaultdict[str, int] = defaultdict(int)
    file = path / "seconds.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        one = json.loads(line)
        took[one["stage"]] += one["seconds"]
        asked[one["stage"]] += one["questions"]
    return StageSeconds({stage: took[stage] / asked[stage] for stage in took})
