"""One process of a study that several share, for the tests that run and kill them.

``python study_driver.py STUDY [OPTION=VALUE ...]``: ``start`` (begins its first utility when this file is
there), ``dies`` (is killed before it tells the utility of this number), ``ray`` (the address of a cluster
whose actors judge). Prints a line of JSON: a digest of the planner, its card, and how many utilities it
judged itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "planner"))
import synthetic

from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from training import fidelities
from training.cluster import judges
from training.cluster.judges import Asked, Fault
from training.cluster.judging import judging
from training.cluster.storages import storage_of
from training.fidelities import Fidelity
from training.study import fit_training_data

TRIALS, WIDTH = 5, 3
#: problems of the first and the last fidelity
LOW = 20, 60


def data() -> TrainingData:
    log = synthetic.make_log(66, draws=6, ns=(2,))
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


def told(planner: Planner) -> dict[str, Any]:
    """What two planners are compared by."""
    texts = [text for stage in planner.stages for text in stage.models]
    return {
        "models": hashlib.sha256("".join(texts).encode()).hexdigest(),
        "card": json.loads(json.dumps(dict(planner.card))),
    }


def main(place: str, **asked: str) -> dict[str, Any]:
    judged, utility = 0, judges.utility
    if "ray" not in asked:  # actors have fidelities of the usual sizes: one, for so few problems
        fidelities.SMALLEST, fidelities.LARGEST = LOW

    def counted(levels: Sequence[Fidelity], wanted: Asked) -> float | Fault:
        nonlocal judged
        while "start" in asked and not Path(asked["start"]).exists():
            time.sleep(0.01)
        found = utility(levels, wanted)
        judged += 1
        if judged == int(asked.get("dies", -1)):
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    judges.utility = counted
    kept = storage_of(place)
    if "ray" not in asked:
        planner = fit_training_data(data(), trials=TRIALS, width=WIDTH, storage=kept)
    else:
        with judging(asked["ray"], 2, 0.1) as made:
            print("connected", flush=True)
            planner = fit_training_data(data(), trials=TRIALS, width=WIDTH, storage=kept, judges=made)
    return {**told(planner), "judged": judged}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], **dict(one.split("=", 1) for one in sys.argv[2:]))))
