"""The part ``thought`` of ``strategies.py``: long chains against search, on the lab.

No weights of a thinking model are at hand. What can be done is s1's way (arXiv 2501.19393): the thought of
an ordinary policy is cut at a budget (``think=``), or its end is taken away and "Wait" put in its place until
the thought is long (``wait=``). The lab's policies write their steps and then ``#`` before the answer, so
that the steps stand for the thought; two domains of four end so, and only their questions are asked. A
thought that is forced to go on is held against votes, best-of-n and beam search at equal FLOPs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from strategies_lab import MODELS
from strategies_lab_figures import Measured, points
from strategies_lab_plans import POLICY, PRM, questions

from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler
from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.loader import FolderLoader
from search.log.outcomes import greedy_outcomes, pool_outcomes, run_outcomes
from search.log.pool import read_pools
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem
from search.sync import run_sync

__all__ = ["COUNT", "compared", "figures", "run", "thoughtful"]

Found = dict[str, Any]

#: domains whose solutions end with ``#`` and the answer
DOMAINS = ("arithmetic", "chemistry")
END = "#"
COUNT, BLOCK, SEED, RUNS = 100, 50, 2032, 2
_DRAWS = 32
_VOTES = (1, 2, 4, 8, 16, 32)
#: tokens of a thought, most and least. An unforced one takes some 40, and the lab's context ends at 512
_LONG = 200
_SHORT = (16, 32)
_WAITS = (60, 120, 180)
RESAMPLES = 4000


def asked(count: int = COUNT) -> list[Problem]:
    """The lab part's questions of these domains."""
    return [one for one in questions(2 * count) if one.domain in DOMAINS][:count]


def thoughtful() -> list[Plan]:
    """Plans whose thoughts are cut or made to go on."""
    found = [Plan.of("cot", think=think) for think in _SHORT]
    found += [Plan.of("cot", think=_LONG, wait=wait) for wait in _WAITS]
    return [*found, *(Plan.of("majority", n=4, think=_LONG, wait=wait) for wait in _WAITS[:1])]


def _searches() -> list[Plan]:
    return [Plan.of("beam_search", n=n, vote="weighted") for n in (4, 12)]


def _scored() -> list[Plan]:
    return [Plan.of(name, n=n) for name in ("best_of_n", "weighted_vote") for n in (2, 8)]


def run(path: Path, count: int, minutes: float) -> None:
    """Do what the log does not hold yet. No block is begun after ``minutes``."""
    until = time.monotonic() + 60.0 * minutes
    every, log = asked(count), SearchLog.at(path)
    loader = FolderLoader({POLICY: MODELS / POLICY}, {PRM: MODELS / PRM})
    loader.engine(POLICY).thought_end = END
    grid = Grid.of(
        {
            **{"block": 16, "group": BLOCK, "runs": RUNS, "seed": SEED},
            "pair": [{"policy": POLICY, "prm": PRM}],
            **{"strategies": ["cot", "best_of_n"], "score": ["last"], "n": [_DRAWS], "samples": _DRAWS},
            "plan": [str(plan) for plan in (*thoughtful(), *_searches())],
        }
    )
    try:
        for last in range(BLOCK, len(every) + BLOCK, BLOCK):
            if time.monotonic() < until:
                Campaign(every[:last], grid, log, loader).run()
                print(f"thought: {len(every[:last])} questions of {len(every)}", file=sys.stderr)
    finally:
        run_sync(loader.close())


def figures(log: SearchLog, problems: Sequence[Problem]) -> Found:
    """Everything, for ``strategies.json``. Only questions that all plans have answered count."""
    votes = [Plan.of("majority", n=n) for n in _VOTES]
    plans = [Plan.of("cot"), *votes, *_scored(), *_searches(), *thoughtful()]
    replayed = pool_outcomes(log, read_pools(log, POLICY).values(), [*votes, *_scored()])
    rows = pl.concat([run_outcomes(log), greedy_outcomes(log, POLICY), replayed])
    tables = {
        plan: rows.filter(plan=str(plan)).unique("problem_id", keep="first", maintain_order=True)
        for plan in plans
    }
    known = set.intersection(*(set(one["problem_id"]) for one in tables.values()))
    kept = [one for one in problems if one.problem_id in known]
    about: Found = {
        **{"policy": POLICY, "prm": PRM, "questions": len(kept), "asked": len(problems), "runs": RUNS},
        **{"families": len({one.family for one in kept}), "resamples": RESAMPLES, "rows": []},
    }
    if not kept:
        return about
    order = pl.DataFrame({"problem_id": [one.problem_id for one in kept]})
    met = [
        _met(plan, order.join(table, on="problem_id", maintain_order="left"))
        for plan, table in tables.items()
    ]
    return {**about, "rows": compared(met, [one.family for one in kept])}


def _met(plan: Plan, rows: pl.DataFrame) -> Measured:
    accuracy, tokens, flops = (rows[name].to_numpy() for name in ("accuracy", "tokens", "flops"))
    return Measured(plan.strategy, POLICY, plan, accuracy, tokens, flops)


def compared(met: Sequence[Measured], families: Sequence[str]) -> list[Found]:
    """A record per plan, beside a plain vote at equal mean FLOPs."""
    vote = [one for one in met if one.strategy == "majority" and one.plan.thinking is None]
    track = Track(
        "majority",
        *(np.stack([getattr(one, name) for one in vote], axis=1) for name in ("accuracy", "tokens", "flops")),
    )
    draw = Resampler(len(families), clusters=families, resamples=RESAMPLES, seed=0)
    found = []
    for one in met:
        flops = float(one.flops.mean())
        is_vote = any(one is other for other in vote)
        found.append(
            {
                **{"plan": str(one.plan), "flops": flops, "tokens": float(one.tokens.mean())},
                "accuracy": points(draw.interval(one.accuracy)),
                "above": None if is_vote else points(draw.interval(one.accuracy - track.at(flops)[0])),
            }
        )
    return found
