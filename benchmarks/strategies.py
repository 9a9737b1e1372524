"""Every strategy beside every other: on the lab's models at three budgets, and on a real model at one.

    python benchmarks/strategies.py --only lab [--log LOG] [--questions N] [--minutes N]
    python benchmarks/strategies.py --only thought [--minutes N]
    python benchmarks/strategies.py --only planner [--minutes N]
    PLANNER_DATA=FOLDER PLANNER_REAL_MODELS=FOLDER PLANNER_LLAMA_SERVER=PROGRAM
        python benchmarks/strategies.py --only real [--parts NAME ...] [--questions N] [--minutes N]
            [--spend tokens=N]
    python benchmarks/strategies.py --page

``lab`` (``strategies_lab_plans.py``): 200 held-out lab questions, one policy under one PRM, plans that cost
about 4, 16 and 64 samples of a plain vote, each against a plain vote at equal FLOPs. ``real``
(``strategies_contestants.py``): Qwen2.5-Coder-0.5B-Instruct behind llama.cpp's server, 100 GSM8K questions,
eight samples; its_hub 1.2 and optillm 0.4 where they have the same strategy. ``thought``
(``strategies_thought.py``): longer chains on the lab against votes and searches. ``planner``
(``strategies_planner.py``): a planner with the wider choice of strategies against a narrower one.

All go on where they were, block of questions by block, and end at Ctrl-C with what is there; ``--minutes``
limits the time of one run, and ``--spend`` the tokens of the real part, prompts included. The server has as
many threads as the process has cores (``taskset``); ``real_campaign.py`` says which files it needs, and
``versus_servers.py`` where its_hub and optillm go. ``strategies.json`` and ``strategies.md`` are written from
all that is there; ``--page`` does that alone and starts nothing. A part of which nothing is there stays as
the JSON has it. It asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import strategies_lab
import strategies_lab_figures
import strategies_planner
import strategies_real
import strategies_real_figures
import strategies_thought
from head_to_head import Limit
from real_campaign import LOG
from strategies_contestants import captions
from strategies_lab_plans import COUNT, questions
from strategies_page import page
from versus_rows import Rows

from planner.cli.interrupt import interruptible
from planner.cli.printing import json_text
from search.campaigns.spending import SpendLimit
from search.errors import PlannerError
from search.log.store import SearchLog

HERE = Path(__file__).parent
LAB_LOG, ROWS = Path("runs/strategies"), HERE / "logs" / "strategies"
#: beside the lab part's log, by what its name gets
FURTHER = {"thought": "-thought", "planner": "-planner"}
PARTS = ("lab", "thought", "planner", "real")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    data = Path(os.environ.get("PLANNER_DATA", "."))
    parser.add_argument("--only", choices=PARTS, help="one part; all by default")
    parser.add_argument("--page", action="store_true", help="run nothing: write what is there")
    parser.add_argument("--questions", type=int, help="the first questions of each part only")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="that this run may take")
    parser.add_argument(
        "--log",
        type=Path,
        default=LAB_LOG,
        help="of the lab part; further parts have theirs beside it",
    )
    parser.add_argument("--rows", type=Path, default=ROWS, help="answers of the real part")
    parser.add_argument("--data", type=Path, default=data, help="the folder that PLANNER_DATA names")
    parser.add_argument("--parts", nargs="+", choices=list(captions()), help="contestants of the real part")
    parser.add_argument("--block", type=int, default=strategies_real.BLOCK, help="questions in a block of it")
    parser.add_argument("--spend", type=SpendLimit.parse, help="tokens=N of the real part, prompts included")
    parser.add_argument("--output", type=Path, default=HERE / "strategies", help="without its suffix")
    asked = parser.parse_args()
    parts = PARTS if asked.only is None else (asked.only,)
    try:
        if not asked.page:
            with interruptible("What was answered stays. The same command goes on from there."):
                for part in parts:
                    run(part, asked)
        publish(asked)
    except PlannerError as error:
        sys.exit(f"strategies: {error}")


def run(part: str, asked: argparse.Namespace) -> None:
    """What is not there yet of a part."""
    if part == "lab":
        strategies_lab.run(asked.log, asked.questions or COUNT, asked.minutes)
        return
    if part == "thought":
        count = asked.questions or strategies_thought.COUNT
        strategies_thought.run(_beside(asked.log, part), count, asked.minutes)
        return
    if part == "planner":
        count = asked.questions or strategies_planner.COUNT
        strategies_planner.run(_beside(asked.log, part), count, asked.minutes)
        return
    problems = strategies_real.questions(asked.data, LOG / "math")
    limit = Limit(asked.spend.tokens if asked.spend else None, time.monotonic() + 60.0 * asked.minutes)
    names = asked.parts or list(captions())
    strategies_real.run(problems[: asked.questions], Rows(asked.rows), limit, names, asked.block)


def _beside(log: Path, part: str) -> Path:
    """The search log of a further part."""
    return log.with_name(log.name + FURTHER[part])


def publish(asked: argparse.Namespace) -> None:
    """Write the figures of each part of which anything is there, and the page."""
    file = asked.output.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if (asked.log / "manifest.json").is_file():
        log, every = SearchLog.open(asked.log), questions(max(COUNT, asked.questions or 0))
        found["lab"] = strategies_lab_figures.figures(log, every, strategies_lab.pace(asked.log))
    if (_beside(asked.log, "thought") / "manifest.json").is_file():
        log = SearchLog.open(_beside(asked.log, "thought"))
        found["thought"] = strategies_thought.figures(log, strategies_thought.asked())
    # a comparison of planners is fitted anew, which takes minutes: only where it is asked for
    if asked.only == "planner" and (_beside(asked.log, "planner") / "manifest.json").is_file():
        found["planner"] = strategies_planner.figures(_beside(asked.log, "planner"))
    if any(asked.rows.glob("*.jsonl")):
        steps = strategies_real_figures.calculations(asked.data)
        problems = strategies_real.questions(asked.data, LOG / "math")
        found["real"] = strategies_real_figures.figures(problems, Rows(asked.rows), steps)
    # as it will be read again: without numbers that JSON lacks
    found = json.loads(json_text(found))
    file.write_text(json_text(found) + "\n", encoding="utf-8")
    asked.output.with_suffix(".md").write_text(page(found), encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
