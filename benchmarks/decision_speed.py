"""How long a decision takes in process, on one core: features of the question, choices scored, one picked.

    python benchmarks/decision_speed.py [--planner MODEL] [--decisions 2000]

Two planners: the shipped one, and one with 64 choices at its first probe, put together from the shipped one
(what a choice is worth is irrelevant to speed). Questions of 20, 200 and 2,000 characters, each another text,
so that nothing is remembered; a cap and a mean budget in turn. The whole of ``Planner.decide`` is
timed, the explanation is not asked for; then the explanation alone. Warm: the first tenth is not counted.

``wall`` is what a caller waits, ``cpu`` what this thread works: they differ where other work shares the core.
Writes ``decision_speed.md`` beside itself and asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.deciding.fitted import Fitted
from planner.deciding.recommendation import Recommendation
from planner.models import shipped
from planner.planner import Planner
from search.budget import Budget
from search.plan import Plan

HERE = Path(__file__).parent
_TEXT = (
    "Find the value of (12+4)*[7-3] when you multiply, add & subtract 3.5% of 96, then reach 42 "
    "from H2O and NaCl; what is left of 250 grams? Work out 7/8 - 3 = x"
)
_WORDS = _TEXT.split(" ")
Floats = NDArray[np.float64]


def question(size: int, rng: np.random.Generator) -> str:
    """A text of words and numbers."""
    return " ".join(_WORDS[i] for i in rng.integers(0, len(_WORDS), size))[:size].ljust(size, "?")


def widened(planner: Planner, count: int) -> Planner:
    """The same with ``count`` choices at the first probe: its own repeated, as votes of other sizes."""
    stage = planner.stages[0]
    actions, own = stage.actions, len(stage.choices)
    places = [i % own for i in range(count)]
    choices = list(stage.choices)
    choices += [
        replace(actions.choices[actions.reference], plan=Plan.of("majority", n=1000 + i))
        for i in range(own, count)
    ]
    columns = [*places, *range(own, len(stage.centre))]
    wide = replace(
        stage,
        actions=replace(
            actions, choices=tuple(choices), choice_costs=tuple(actions.choice_costs[i] for i in places)
        ),
        centre=stage.centre[columns],
        loadings=stage.loadings[:, columns],
    )
    parts = {field.name: getattr(planner, field.name) for field in fields(Fitted)}
    return Planner(**(parts | {"stages": (wide, *planner.stages[1:])}))


def timed(work: Callable[[int], object], count: int) -> tuple[Floats, Floats]:
    """Milliseconds (wall, of this thread's CPU) of each call but the first tenth."""
    out = np.empty((2, count))
    for i in range(count):
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        work(i)
        out[:, i] = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
    waited, worked = out[:, count // 10 :] / 1e6
    return waited, worked


def rows(name: str, planner: Planner, decisions: int) -> list[str]:
    """Lines of the table."""
    rng = np.random.default_rng(0)
    flops = float(np.median(planner.frontier.flops))
    objectives = (Budget(tokens=5000), Budget(mean_flops=flops))
    out = []
    for size in (20, 200, 2000):
        texts = [question(size, rng) for _ in range(decisions)]

        def decide(i: int, texts: list[str] = texts) -> object:
            return planner.decide(texts[i], budget=objectives[i % 2])

        advice = planner.decide(texts[0], budget=objectives[0])

        def explain(_: int, advice: Recommendation = advice) -> object:
            return advice.why

        for what, work in (("decision", decide), ("explanation", explain)):
            wall, cpu = timed(work, decisions if what == "decision" else decisions // 10)
            figures = [np.quantile(part, share) for part in (wall, cpu) for share in (0.5, 0.99)]
            numbers = " | ".join(f"{figure:.3f}" for figure in figures)
            out.append(f"| {name} | {len(planner.stages[0].choices)} | {size:,} | {what} | {numbers} |")
            print(out[-1], flush=True)
    return out


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--planner", type=Path, default=shipped("planner"))
    parser.add_argument("--decisions", type=int, default=2000)
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    planner = Planner.load(asked.planner)
    lines = [
        "# Speed of deciding",
        "",
        "`python benchmarks/decision_speed.py`, which says what is measured. Milliseconds on one core; CPU",
        "figures are the decision's own, wall figures hold waiting for the core as well.",
        "",
        "| planner | choices | characters | what | wall p50 | wall p99 | CPU p50 | CPU p99 |",
        "|---|---|---|---|---|---|---|---|",
        *rows("shipped", planner, asked.decisions),
        *rows("widened", widened(planner, 64), asked.decisions),
    ]
    (HERE / "decision_speed.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
