"""``planner demo``: the commands that it ends with, and how it ends when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from planner.cli.demo import next_steps

ROOT = Path(__file__).resolve().parents[3]


def test_rivals_pick_on_the_log_that_the_planner_learned_from() -> None:
    evaluate, report, solve = next_steps(Path("here"))
    assert evaluate == "planner evaluate here/held-out-log --planner here/planner --training here/log --all"
    assert "--training here/log" in report
    assert report.endswith("-o here/report.html")
    assert solve.startswith("planner solve")


def test_an_interrupt_ends_it_within_seconds_and_says_where_things_are(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with subprocess.Popen(
        [sys.executable, "-m", "planner", "demo", "-o", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that starts it in the background would have it ignore the signal
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stdout is not None
        assert "1. Search." in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"planner: stopping. What was made so far is in {folder}." in said
    assert "Traceback" not in said
