"""Searches over steps side by side on the lab's models: who wins at equal mean FLOPs.

    python benchmarks/tree_searches.py [--log LOG] [--problems N] [--show] [--write]

Runs ``particle_filter``, ``lookahead`` and ``rebase`` beside ``beam_search`` and ``dvts`` at n = 4, 8 and 16,
and a pool of samples for ``best_of_n``, on N lab questions per domain that no model was trained on. A
campaign does it (``search.campaigns.campaign``), so the same command goes on where it was stopped; every tree
is run once for both votes. A rival at equal mean FLOPs is a random split of the questions between two of its
sizes (``planner.evaluation.frontier``); above its largest size it stays there. Differences are paired by
question, with 95% intervals. ``--write`` keeps the tables in ``tree_searches.md`` and ``.json``. It asserts
nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Interval, Resampler
from search.campaigns.campaign import Campaign, Progress
from search.campaigns.grid import Grid
from search.loader import FolderLoader
from search.log.outcomes import build_outcomes
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem
from search.sync import run_sync
from training.lab.problems import problem_set

Bools = NDArray[np.bool_]

MODELS = Path(__file__).resolve().parents[1] / "models"
POLICY, PRM = "lab-policy-m", "lab-prm-good"
SIZES = (4, 8, 16)
POOL = 32
NEW = ("particle_filter", "lookahead", "rebase")
#: vote -> the rivals under it; a strategy of samples has no vote of its own to choose
RIVALS = {"max": ("best_of_n", "beam_search", "dvts"), "weighted": ("weighted_vote", "beam_search", "dvts")}
SEED = 2026


def questions(per_domain: int) -> list[Problem]:
    """So many questions of each domain, in the order of generation."""
    found: dict[str, list[Problem]] = {}
    count = 8 * per_domain
    for worked in problem_set("search", count, SEED):
        found.setdefault(worked.problem.domain, []).append(worked.problem)
    short = {domain: len(some) for domain, some in found.items() if len(some) < per_domain}
    if short:
        raise ValueError(f"{count} lab problems hold {per_domain} of each domain, got {short}")
    return [problem for domain in sorted(found) for problem in found[domain][:per_domain]]


def plans(vote: str) -> dict[str, list[Plan]]:
    """Strategy -> its plans, smallest first."""
    sampled = RIVALS[vote][0]
    found = {sampled: [Plan.of(sampled, n=n, score="last") for n in (2, 4, 8, 16, 32)]}
    for name in ("beam_search", "dvts", *NEW):
        found[name] = [Plan.of(name, n=n, vote=vote) for n in SIZES]
    return found


def run(log: SearchLog, problems: Sequence[Problem]) -> None:
    """Do what the log does not hold yet."""
    trees = [str(plan) for vote in RIVALS for some in plans(vote).values() for plan in some if plan.must_run]
    grid = Grid.of(
        {
            "pair": [{"policy": POLICY, "prm": PRM}],
            "strategies": ["best_of_n"],
            "score": ["last"],
            "n": [POOL],
            "samples": POOL,
            "block": POOL,
            "group": 100,
            "runs": 1,
            "seed": SEED,
            "plan": trees,
        }
    )
    loader = FolderLoader({POLICY: MODELS / POLICY}, {PRM: MODELS / PRM})
    began = time.perf_counter()

    def tell(progress: Progress) -> None:
        seconds = time.perf_counter() - began
        print(
            f"\r{progress.done}/{progress.total} {seconds:.0f} s {progress.stage:90}", end="", file=sys.stderr
        )

    try:
        Campaign(problems, grid, log, loader).run(tell)
    finally:
        run_sync(loader.close())
        print(file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a log says of one strategy: its plans, and (P, J) outcomes."""

    plans: list[Plan]
    track: Track


def measured(outcomes: pl.DataFrame, ids: Sequence[str], vote: str) -> dict[str, Measured]:
    """Strategy -> outcomes at its sizes, as far as the log holds them for all questions."""
    found = {}
    for name, every in plans(vote).items():
        columns, some = [], []
        for plan in every:
            rows = outcomes.filter(pl.col("plan") == str(plan))
            rows = pl.DataFrame({"problem_id": ids}).join(rows, on="problem_id", how="left")
            if not rows["accuracy"].has_nulls():
                columns.append(rows)
                some.append(plan)
        if not some:
            continue
        accuracy, tokens, flops = (
            np.stack([rows[column].to_numpy() for rows in columns], axis=1)
            for column in ("accuracy", "tokens", "flops")
        )
        found[name] = Measured(some, Track(name, accuracy, tokens, flops))
    return found


def compared(found: dict[str, Measured], vote: str, sample_flops: float, kept: Bools) -> list[dict[str, Any]]:
    """A record per plan, over the questions ``kept``; those of new strategies beside the rivals."""
    resampler = Resampler(int(kept.sum()), resamples=2000, seed=0)
    records = []
    for name in (name for name in (*RIVALS[vote], *NEW) if name in found):
        ours = found[name]
        for j, plan in enumerate(ours.plans):
            accuracy, flops = ours.track.accuracy[kept, j], float(ours.track.flops[kept, j].mean())
            above = {}
            for rival in RIVALS[vote] if name in NEW else ():
                theirs = found[rival].track
                at = Track(rival, theirs.accuracy[kept], theirs.tokens[kept], theirs.flops[kept])
                above[rival] = points(resampler.interval(accuracy - at.at(flops)[0]))
            records.append(
                {
                    "plan": str(plan),
                    "accuracy": points(resampler.interval(accuracy)),
                    "tokens": float(ours.track.tokens[kept, j].mean()),
                    "flops": flops,
                    "samples": flops / sample_flops,
                    "above": above,
                }
            )
    return records


def points(interval: Interval) -> list[float]:
    """Mean and both ends, in percent, to a tenth."""
    return [round(100 * value, 1) for value in (interval.value, interval.low, interval.high)]


def page(report: dict[str, Any]) -> str:
    """The tables."""
    many, domains = report["per_domain"], ", ".join(report["domains"])
    lines = [
        "# Searches over steps",
        "",
        f"`python benchmarks/tree_searches.py --problems {many} --write`",
        "",
        f"{report['questions']} lab questions ({domains}; {many} of each, none seen in training),",
        f"{POLICY} under {PRM}, one run of each tree, steps drawn at temperature 1.",
        "Cost is in samples: the mean FLOPs of writing and scoring one sample. The last columns are points",
        "above a rival at the same mean FLOPs, paired by question, with 95% intervals. A rival that has",
        "no plan as dear is taken at its dearest. Plans that were not run on all questions are left out.",
    ]
    for vote, tables in report["votes"].items():
        rivals, domains = RIVALS[vote], [name for name in tables if name != "all"]
        lines += [
            "",
            f"## vote={vote}",
            "",
            *header("plan", "accuracy", "samples", *map("above {}".format, rivals)),
        ]
        for record in tables["all"]:
            cells = [between(record["accuracy"]), f"{record['samples']:.1f}"]
            cells += [lead(record["above"].get(rival)) for rival in rivals]
            lines.append(f"| `{Plan.parse(record['plan']).brief}` | " + " | ".join(cells) + " |")
        lines += ["", f"By domain at n = 16: accuracy, and points above {rivals[0]} at equal mean FLOPs.", ""]
        lines += header("plan", *domains)
        for place, record in enumerate(tables["all"]):
            if Plan.parse(record["plan"]).n == 16:
                ones = [tables[domain][place] for domain in domains]
                cells = [
                    f"{one['accuracy'][0]:.1f} {lead(one['above'].get(rivals[0]))}".strip() for one in ones
                ]
                lines.append(f"| `{Plan.parse(record['plan']).brief}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def header(*names: str) -> list[str]:
    """The first lines of a table."""
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def lead(above: list[float] | None) -> str:
    """Points with their interval."""
    return "" if above is None else f"{above[0]:+.1f} [{above[1]:.1f}, {above[2]:.1f}]"


def between(accuracy: list[float]) -> str:
    """A percentage with its interval."""
    return f"{accuracy[0]:.1f} [{accuracy[1]:.1f}, {accuracy[2]:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--log", type=Path, default=Path("runs/tree-searches"))
    parser.add_argument("--problems", type=int, default=100, help="questions per domain")
    parser.add_argument("--show", action="store_true", help="run nothing: tables of what the log holds")
    parser.add_argument("--write", action="store_true", help="keep the tables in tree_searches.md and .json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    problems = questions(asked.problems)
    log = SearchLog.at(asked.log)
    if not asked.show:
        run(log, problems)
    sampled = [plan for vote in RIVALS for plan in plans(vote)[RIVALS[vote][0]]]
    outcomes = build_outcomes(log, sampled)
    ids = [problem.problem_id for problem in problems]
    of_domain = np.array([problem.domain for problem in problems])
    pool = log.read("samples").filter(pl.col("draw") >= 0)
    sample = log.manifest.policy(POLICY).flops(pool["tokens"].mean())
    sample += log.manifest.prm(PRM).flops(log.read("scores")["prm_tokens"].mean())
    report: dict[str, Any] = {
        "questions": len(problems),
        "per_domain": asked.problems,
        "domains": sorted(set(of_domain)),
        "sample_flops": sample,
        "votes": {},
    }
    for vote in RIVALS:
        found = measured(outcomes, ids, vote)
        tables = {"all": compared(found, vote, sample, np.ones(len(ids), np.bool_))}
        for domain in report["domains"]:
            tables[domain] = compared(found, vote, sample, of_domain == domain)
        report["votes"][vote] = tables
    text = page(report)
    print(text)
    if asked.write:
        here = Path(__file__)
        here.with_suffix(".md").write_text(text)
        here.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
