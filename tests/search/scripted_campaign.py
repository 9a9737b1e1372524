"""The small campaign of scripted models that tests run; as a program, ``python scripted_campaign.py LOG``."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.engines.scripted import TURN, ScriptedEngine
from search.loader import ReadyLoader
from search.log.store import SearchLog
from search.problem import Problem
from search.rewards.scripted import ScriptedReward

GRID = {
    "pair": [{"policy": "m", "prm": "r"}],
    "n": [1, 4],
    "samples": 8,
    "block": 4,
    "group": 3,
    "runs": 2,
    "strategies": ["cot", "majority", "best_of_n", "beam_search"],
    "seed": 5,
}


def problems(count: int, first: int = 0) -> list[Problem]:
    return [
        Problem(f"p{i:02}", f"f{i % 3}", "text", f"which is {i}?", str(i))
        for i in range(first, first + count)
    ]


def engine(
    pause: float = 0.0, name: str = "m", hear: Callable[[str], object] = lambda question: None
) -> ScriptedEngine:
    """Right in every other sample or so. ``pause``: seconds per line; ``hear`` hears each question."""

    def write(text: str, rng: Random) -> str:
        time.sleep(pause)
        question, _, written = text.partition(TURN)
        hear(question)
        answer = question.removeprefix("which is ").removesuffix("?")
        said = answer if rng.random() < 0.5 else str(rng.randrange(3))
        lines = [f"think {rng.randrange(10)}", f"hence {rng.randrange(10)}", f"# {said}"]
        return "\n".join(lines[written.count("\n") :])

    return ScriptedEngine(write, name=name)


def reward(name: str = "r") -> ScriptedReward:
    def judge(question: str, steps: tuple[str, ...]) -> float:
        digest = hashlib.sha256(f"{name}{question}{steps}".encode()).digest()
        return digest[0] / 255

    return ScriptedReward(judge, name=name)


if __name__ == "__main__":
    log = SearchLog.at(Path(sys.argv[1]))
    campaign = Campaign(problems(8), Grid.of(GRID), log, ReadyLoader([engine(pause=0.0005)], [reward()]))
    campaign.run()
    print("finished")
