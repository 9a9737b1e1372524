"""Fits whose trials actors of a real Ray cluster judge: the planner of one process, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from training.cluster.storages import storage_of

pytestmark = pytest.mark.cluster

SCRIPT = Path(__file__).with_name("study_driver.py")


def start(cluster: Any, study: str) -> subprocess.Popen[str]:
    words = [sys.executable, str(SCRIPT), study, f"ray={cluster.address}"]
    return subprocess.Popen(
        cluster.command(words), env=cluster.environment, stdout=subprocess.PIPE, text=True
    )


def reported(study: str) -> int:
    """Utilities that were told."""
    try:
        trials = optuna.load_study(study_name="planner", storage=storage_of(study)).trials
    except KeyError:  # it has not begun
        return 0
    return sum(len(trial.intermediate_values) + trial.state.is_finished() for trial in trials)


def test_a_driver_and_a_worker_die_in_a_trial_and_the_planner_is_that_of_one_process(
    cluster: Any, plain: dict[str, Any], tmp_path: Path
) -> None:
    study = f"journal:{tmp_path}/study.log"
    first = start(cluster, study)
    while first.poll() is None and reported(study) < 1:
        time.sleep(0.05)
    assert first.poll() is None
    first.kill()
    first.communicate()
    begun = reported(study)
    assert begun >= 1
    second = start(cluster, study)
    assert second.stdout is not None
    assert second.stdout.readline() == "connected\n"
    while second.poll() is None and not cluster.actors():
        time.sleep(0.05)
    struck = cluster.actors()[:1]
    for process in struck:
        os.kill(process, signal.SIGKILL)
    output, _ = second.communicate(timeout=600)
    assert struck
    assert second.returncode == 0
    found = json.loads(output.splitlines()[-1])
    assert {name: found[name] for name in ("models", "card")} == plain
