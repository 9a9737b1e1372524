"""A campaign of scripted models on a cluster, for the tests that kill it.

``python ray_campaign.py ADDRESS LOG [OPTION=VALUE ...]``: ``replicas``, ``problems``, ``pause`` (seconds per
line), ``poison`` (a problem at which the actor's process is killed), ``wrong`` (one at which the engine
raises), ``ends`` (a file: the first actor at problem 1 makes it and ends its process, as a crash does),
``apart`` (the PRM has actors of its own), ``deaths``, ``small`` (about half of the units).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from typing import Any

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.cluster.campaign import ClusterCampaign
from search.cluster.placement import Placement
from search.cluster.ray_session import ray_session
from search.engines.scripted import ScriptedEngine
from search.loader import Loader, ReadyLoader
from search.log.store import SearchLog
from tests.search import scripted_campaign as scripted

GRID = {**scripted.GRID, "group": 2}
SMALL = {**GRID, "samples": 4, "runs": 1}


def engine(pause: float = 0.0, poison: int = -1, wrong: int = -1, ends: str = "") -> ScriptedEngine:
    def hear(question: str) -> None:
        answer = question.removeprefix("which is ").removesuffix("?")
        if answer == str(poison):
            os.kill(os.getpid(), signal.SIGKILL)
        if ends and answer == "1" and not os.path.exists(ends):
            os.close(os.open(ends, os.O_CREAT))
            os._exit(3)
        if answer == str(wrong):
            raise ValueError(f"nobody writes about {answer}")

    return scripted.engine(pause, hear=hear)


def loader(pause: float = 0.0, poison: int = -1, wrong: int = -1, ends: str = "") -> Loader:
    return ReadyLoader([engine(pause, poison, wrong, ends)], [scripted.reward()])


def unbroken(log: SearchLog, count: int, small: bool = False) -> None:
    Campaign(scripted.problems(count), Grid.of(SMALL if small else GRID), log, loader()).run()


def main(address: str, place: str, **asked: str) -> dict[str, Any]:
    count = int(asked.get("problems", 8))
    pause, poison, wrong = (
        float(asked.get("pause", 0)),
        int(asked.get("poison", -1)),
        int(asked.get("wrong", -1)),
    )
    placements = {"m": Placement(replicas=int(asked.get("replicas", 2)), cpus=0.1)}
    if "apart" in asked:
        placements["r"] = Placement(cpus=0.1, resources={"scoring": 0.1})
    with ray_session(address) as ray:
        campaign = ClusterCampaign(
            scripted.problems(count),
            Grid.of(SMALL if "small" in asked else GRID),
            SearchLog.at(place),
            loader(),
            ray=ray,
            make_loader=partial(loader, pause, poison, wrong, asked.get("ends", "")),
            placements=placements,
            deaths=int(asked.get("deaths", 5)),
        )
        print("started", flush=True)
        state = campaign.run()
        return {"done": state.done, "total": state.total, "tokens": state.tokens, "seconds": state.seconds}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3], **dict(one.split("=") for one in sys.argv[3:]))))
