"""What the commands that read a decision log take on a large one: CPU seconds, wall seconds and memory.

A planner is fitted on a made-up campaign of a few hundred problems and decides on some thousand questions,
exploring in half of the requests. That SQLite log is then multiplied under other ids and questions, so that
every question is looked at anew. ``planner ope`` follows another planner through it, ``planner refit`` learns
from it and from the campaign, and compares what it learned with the planner that served. ``planner savings``
reads a log of plain answers with what the planner would have done, a tenth of them with its plan run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from generated_log import generated_log
from traffic_log import multiply, serve, shadow

import planner
from planner.planner import Planner

__all__ = ["size", "size_page"]

#: distinct decisions that are multiplied
_DISTINCT = 2000
#: problems of the campaign
_PROBLEMS = 300


def size(rows: int, folder: Path) -> dict[str, Any]:
    """What each command takes on a log of so many decisions; the logs are made in ``folder``."""
    campaign, old = str(folder / "campaign"), str(folder / "served")
    generated_log(folder / "campaign", _PROBLEMS)
    _run("fit", campaign, "-o", old, "--trials", "0", "--folds", "problem")
    served = planner.load(old)
    _moved(served).save(folder / "other")
    where = str(folder / "decisions.db")
    serve(
        served, where, _DISTINCT, share=0.5, told=lambda right, random: random.random() < 0.3,
        budget={"tokens": round(float(served.frontier.tokens[0]))},
    )  # fmt: skip
    count = multiply(where, rows // _DISTINCT)
    beside = str(folder / "shadow.db")
    shadow(planner.load("lab"), beside, _DISTINCT)
    compared = multiply(beside, rows // _DISTINCT)
    ope, found = _run("ope", where, "--planner", str(folder / "other"))
    asked = ["--planner", old, "-o", str(folder / "new"), "--folds", "problem"]
    refit, _ = _run("refit", "--log", campaign, "--decisions", where, *asked)
    savings, _ = _run("savings", beside)
    return {
        "decisions": count,
        "known": found["known"],
        "effective_size": None if found["value"] is None else found["value"]["effective_size"],
        "log_bytes": Path(where).stat().st_size,
        "campaign": _PROBLEMS,
        "compared": compared,
        "compared_bytes": Path(beside).stat().st_size,
        "commands": {"ope": ope, "refit": refit, "savings": savings},
    }


def _moved(served: Planner) -> Planner:
    """A planner of the same choices that expects other accuracies at its first stage."""
    first = served.stages[0]
    centre = first.centre + 0.01 * np.random.default_rng(0).normal(size=len(first.centre))
    return replace(served, stages=(replace(first, centre=centre), *served.stages[1:]))


def _run(*words: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Run a command; what it took, and the JSON that it printed.

    ``planner refit`` ends with 1 where the planner that serves is better."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "planner", *words, "--json"], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        told = running.stdout.read()
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode not in (0, 1):
        raise SystemExit(f"planner {words[0]} ended with {running.returncode}")
    took = {
        "wall_seconds": time.perf_counter() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "memory_bytes": 1024.0 * used.ru_maxrss,
    }
    print(words[0], took, file=sys.stderr, flush=True)
    return took, json.loads(told)


def size_page(found: dict[str, Any]) -> Sequence[str]:
    """The part of ``traffic.md``."""
    commands = found["commands"]
    lines = [
        "## A large decision log",
        "",
        f"`{found['command']}`",
        "",
        f"An SQLite log of {found['decisions']:,} decisions ({found['log_bytes'] / 1e9:.2f} GB), all on "
        f"different questions, of which {found['known']:,} have feedback. `planner ope` follows a planner "
        f"that did not serve, so every question is looked at anew. `planner refit` learns from the log and a "
        f"campaign of {found['campaign']} problems, and compares with the planner that served. "
        f"`planner savings` reads a log of {found['compared']:,} plain answers and runs beside them "
        f"({found['compared_bytes'] / 1e9:.2f} GB).",
        "",
        "| command | CPU seconds | wall seconds | memory, GB |",
        "|---|---:|---:|---:|",
    ]
    for name, took in commands.items():
        lines.append(
            f"| `planner {name}` | {took['cpu_seconds']:.0f} | {took['wall_seconds']:.0f} | "
            f"{took['memory_bytes'] / 1e9:.2f} |"
        )
    return [*lines, ""]
