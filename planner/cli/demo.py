"""``planner demo``: the whole loop on the lab, from the first sample to the closing table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.interrupt import interruptible
from planner.cli.learning.comparison import print_comparison
from planner.cli.printing import (
    brief,
    error_console,
    json_text,
    output_console,
    percent,
    print_json,
    print_table,
)
from planner.cli.progress import bar, campaign_progress
from planner.cli.recommend import recommendation_to_dict
from planner.cli.solve import solution_to_dict
from planner.models import shipped
from search.atomic import write_atomic
from search.errors import LogError
from search.plan import Plan

if TYPE_CHECKING:
    import polars as pl

    from training.lab.demo import Demo, Solved

__all__ = ["demo", "next_steps"]


def demo(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="A new folder; default: planner-demo, or -2, ..."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A few problems only: shows that it works; says nothing."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal figures.")] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="End with every method, and how far the planner is above it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON.")] = False,
) -> None:
    """Search, log, learn, evaluate, recommend and solve on the shipped models. Minutes on two cores."""
    folder = _folder(output)
    with error_console().status("loading"):
        from training.lab.demo import FULL, QUICK, Demo
    run = Demo(folder, QUICK if quick else FULL, seed, shipped)
    figures: dict[str, Any] = {"folder": str(folder), "seed": seed, "quick": quick, "seconds": {}}
    try:
        with interruptible(f"What was made so far is in {folder}."):
            _loop(run, figures, silent=as_json, everything=everything)
    finally:
        run.close()
    write_atomic(folder / "demo.json", json_text(figures).encode())
    if as_json:
        print_json(figures)
        return
    total = sum(figures["seconds"].values())
    output_console().print(f"Everything is in {folder} ({total:.0f} s). Look closer:", markup=False)
    for line in next_steps(folder):
        output_console().print(f"  {line}", markup=False, soft_wrap=True)


def next_steps(folder: Path) -> tuple[str, ...]:
    """Commands that look closer at what a demo has written.

    Rivals pick on the log that the planner learned from.
    """
    compared = f"{folder}/held-out-log --planner {folder}/planner --training {folder}/log"
    return (
        f"planner evaluate {compared} --all",
        f"planner report {compared} -o {folder}/report.html",
        f"planner solve 'QUESTION' --planner {folder}/planner --tokens 500",
    )


def _loop(run: Demo, figures: dict[str, Any], *, silent: bool, everything: bool) -> None:
    """Every step in turn; each prints what it found unless ``silent``."""
    from search.log.bins import bins as bins_of

    show: Callable[..., None] = (lambda *_: None) if silent else (lambda text: output_console().print(text))
    seconds = figures["seconds"]
    learn, held_out, new = run.problems()
    show(
        f"[bold]1. Search.[/bold] {len(learn)} lab problems to learn from, {len(held_out)} held out; "
        "no model was trained on any."
    )
    logs = {}
    for name, title, problems in (("log", "search", learn), ("held-out-log", "held out", held_out)):
        with _timed(seconds, name), bar(title) as tell:
            logs[name], tokens = run.search(name, problems, campaign_progress(tell))
        figures[name] = {"problems": len(problems), "tokens": tokens}
    with _timed(seconds, "bins"), error_console().status("bins"):
        cells = bins_of(logs["log"])
    figures["bins"] = cells.to_dicts()
    show("[bold]2. Bins.[/bold] Which plan is best depends on how hard the problem is, and on the PRM.")
    if not silent:
        _print_best(cells, run.folder)
    with _timed(seconds, "fit"), bar("fit") as tell:
        planner = run.fit(
            logs["log"], lambda done, total, best: tell(done, total, f"best utility {best:.4f}")
        )
    figures["planner"] = dict(planner.card)
    show(f"[bold]3. Fit.[/bold] A planner learned from the log, in {run.folder / 'planner'}.")
    with _timed(seconds, "evaluate"), error_console().status("evaluating on the held-out problems"):
        found = run.evaluate(planner, logs["held-out-log"], logs["log"])
    figures["evaluation"] = found.to_json()
    solved = []
    show(f"[bold]4. Solve.[/bold] {len(new)} new problems, live.")
    with _timed(seconds, "solve"):
        for problem in new:
            solved.append(run.solve(planner, problem))
            if not silent:
                _print_solved(solved[-1])
    figures["solved"] = [
        {
            "problem": asdict(one.problem) | {"meta": dict(one.problem.meta)},
            "advice": recommendation_to_dict(one.advice),
            "solution": solution_to_dict(one.solution),
            "right": one.right,
        }
        for one in solved
    ]
    show("[bold]5. Evaluate.[/bold] On the held-out problems, beside other ways to spend the same compute.")
    if not silent:
        print_comparison(found, everything=everything)


def _print_best(cells: pl.DataFrame, folder: Path) -> None:
    """The best plan of every cell, beside one greedy answer and the largest vote."""
    found = list(cells.iter_rows(named=True))
    plans = [Plan.parse(text) for text in {row["plan"] for row in found}]
    pooled = [plan for plan in plans if plan.is_pooled and not plan.needs_prm]
    vote = str(max(pooled, key=lambda plan: (plan.n, str(plan))))
    by_plan = {(row["prm"], row["bin"], row["plan"]): row["accuracy"] for row in found}
    print_table(
        "The best plan of each bin (accuracy in %)",
        ["PRM", "bin", "problems", "one greedy", brief(vote), "best", "best plan"],
        [
            (
                row["prm"],
                row["bin"],
                str(row["problems"]),
                percent(by_plan.get((row["prm"], row["bin"], "cot()"))),
                percent(by_plan.get((row["prm"], row["bin"], vote))),
                percent(row["accuracy"]),
                brief(row["plan"]),
            )
            for row in found
            if row["best"]
        ],
        left=2,
        notes=[f"Every plan of every bin: planner bins {folder}/log"],
    )


def _print_solved(one: Solved) -> None:
    advice, found = one.advice, one.solution
    first = "" if advice.probe is None else f"look at {advice.probe}, then "
    print_table(
        f"{one.problem.domain}: {one.problem.question}",
        ["", "plan", "accuracy %", "tokens", "MFLOPs"],
        [
            (
                "before",
                f"{first}{brief(advice.choice.plan)}",
                percent(advice.accuracy),
                f"{advice.tokens:,.0f}",
                f"{advice.flops / 1e6:,.1f}",
            ),
            (
                "after",
                f"{brief(found.choice.plan)} under {found.choice.prm or 'no PRM'}",
                "right" if one.right else "wrong",
                f"{found.spend.tokens:,}",
                f"{found.spend.flops / 1e6:,.1f}",
            ),
        ],
        left=2,
        notes=[f"Answer: {found.answer if found.answer is not None else found.outcome}"],
    )


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started


def _folder(output: Path | None) -> Path:
    """The folder that was named, which must be new or empty, or the first planner-demo that is free."""
    if output is None:
        names = (Path("planner-demo" if number == 1 else f"planner-demo-{number}") for number in count(1))
        return next(path for path in names if not path.exists())
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise LogError(f"a demo writes into a folder that is new or empty, got {str(output)!r}")
    return output
