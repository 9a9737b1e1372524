"""The part ``planner`` of ``strategies.py``: the wider choice of strategies against the narrower.

A campaign of its own on lab questions, in a search log that goes on where it was. Planners are fitted on it
twice, fold by fold, whole families left out: once with all strategies, once without those that came last
(``NEW``). Both choose for the questions left out at the same mean budgets, and what they meet there is
compared question by question.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from strategies_lab import MODELS
from strategies_lab_figures import points
from strategies_lab_plans import LARGER, POLICY, PRM

from planner.evaluation.folds.cross_validation import PLANNER, BudgetMet, CrossValidation
from planner.evaluation.intervals import Resampler
from planner.evaluation.slices import only
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.choice import Choice
from search.loader import FolderLoader
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem
from search.sync import run_sync
from training.cross_validation import Fit, cross_validate
from training.lab.problems import problem_set
from training.study import fit_training_data

__all__ = ["BUDGETS", "COUNT", "NEW", "compared", "figures", "run"]

Found = dict[str, Any]

#: strategies that the narrower planner does not have
NEW = ("rebase", "particle_filter", "lookahead")
_TREES = {
    **{"beam_search": (4, 12), "dvts": (4, 12), "rebase": (4, 12)},
    **{"particle_filter": (4, 12), "lookahead": (4, 8)},
}
_VOTES = ("max", "weighted")
#: mean budgets, in samples of the policy
BUDGETS = (1.0, 2.0, 4.0, 8.0, 16.0)
COUNT, BLOCK, SEED = 160, 40, 2031
_DRAWS, _LARGER_DRAWS, _RUNS, _FOLDS = 32, 8, 2, 5
RESAMPLES = 4000


def questions(count: int = COUNT) -> list[Problem]:
    """Lab questions of a split that nothing was trained or fitted on, others than the lab part's."""
    return [worked.problem for worked in problem_set("check", count, SEED)]


def run(path: Path, count: int, minutes: float) -> None:
    """Do what the log does not hold yet. No block is begun after ``minutes``."""
    until = time.monotonic() + 60.0 * minutes
    every, log = questions(count), SearchLog.at(path)
    loader = FolderLoader({name: MODELS / name for name in (POLICY, LARGER)}, {PRM: MODELS / PRM})
    try:
        for last in range(BLOCK, len(every) + BLOCK, BLOCK):
            for grid in _grids():
                if time.monotonic() < until:
                    Campaign(every[:last], grid, log, loader).run()
                    print(f"planner: {len(every[:last])} questions: {grid.policies[0]}", file=sys.stderr)
    finally:
        run_sync(loader.close())


def _trees() -> list[Plan]:
    return [Plan.of(name, n=n, vote=vote) for name, sizes in _TREES.items() for n in sizes for vote in _VOTES]


def _grids() -> tuple[Grid, Grid]:
    common: dict[str, object] = {"block": 16, "group": BLOCK, "runs": _RUNS, "seed": SEED}
    own = {
        **common,
        "pair": [{"policy": POLICY, "prm": PRM}],
        **{"strategies": ["cot", "best_of_n"], "score": ["last"], "n": [_DRAWS], "samples": _DRAWS},
        "plan": [str(plan) for plan in _trees()],
    }
    larger = {
        **common,
        "pair": [{"policy": LARGER}],
        **{"strategies": ["cot", "majority"], "n": [_LARGER_DRAWS], "samples": _LARGER_DRAWS},
    }
    return Grid.of(own), Grid.of(larger)


def choices() -> list[Choice]:
    """What the wider planner may pick."""
    plans = [Plan.of("cot"), *(Plan.of("majority", n=n) for n in (1, 2, 4, 8, 16, 32))]
    plans += [Plan.of("adaptive_vote", n=n) for n in (5, 16, 32)]
    found = [Choice(POLICY, None, plan) for plan in plans]
    scored = [Plan.of(name, n=n) for name in ("best_of_n", "weighted_vote") for n in (2, 8, 16)]
    found += [Choice(POLICY, PRM, plan) for plan in (*scored, *_trees())]
    found += [Choice(LARGER, None, plan) for plan in (Plan.of("cot"), Plan.of("majority", n=4))]
    cascades = (
        f"cascade(first={POLICY}: majority(n={n}), tau=0.75, then={LARGER}: {then})"
        for n, then in ((2, "cot()"), (8, "majority(n=4)"))
    )
    return [*found, *(Choice(POLICY, None, Plan.parse(text)) for text in cascades)]


def figures(path: Path) -> Found:
    """Everything, for ``strategies.json``."""
    log = SearchLog.open(path)
    cards = log.manifest
    data = read_training_data(log, cards.policies, cards.prms, choices=choices())
    old = [choice for choice in data.choices if choice.plan.strategy not in NEW]
    (wide, wide_alone), (narrow, narrow_alone) = _met(data), _met(only(data, choices=old))
    return {
        **{"questions": len(data), "families": len(set(data.families)), "resamples": RESAMPLES},
        **{"policy": POLICY, "larger": LARGER, "prm": PRM, "new": list(NEW), "folds": _FOLDS},
        **{"choices": len(data.choices), "old_choices": len(old)},
        "guarded": compared(wide, narrow),
        "alone": compared(wide_alone, narrow_alone),
    }


def _met(data: TrainingData) -> tuple[CrossValidation, CrossValidation]:
    """What planners meet, and what the same ones meet where what was learned always decides: without the
    portfolio's rules and neighbours. Default settings, so that neither has more luck in a search for them."""
    made: dict[tuple[str, ...], Planner] = {}

    def fit(training: TrainingData) -> Planner:
        found = made.get(training.problem_ids)
        if found is None:
            found = made[training.problem_ids] = fit_training_data(training, trials=0, seed=0)
        return found

    def alone(training: TrainingData) -> Planner:
        found = fit(training)
        first = replace(found.stages[0], trust=None, neighbours=None)
        return replace(found, stages=(first, *found.stages[1:]))

    def met(fit: Fit) -> CrossValidation:
        return cross_validate(
            data, folds=_FOLDS, fit=fit, seed=0, budgets=BUDGETS, unit=POLICY, rules=("majority",)
        )

    return met(fit), met(alone)


def compared(wide: CrossValidation, narrow: CrossValidation) -> Found:
    """The two on the same questions left out, at each budget that both keep to, and over all of these."""
    draw = Resampler(len(wide.problems), clusters=wide.families, resamples=RESAMPLES, seed=0)
    rows, gaps = [], []
    for one, other in zip(wide.budgets, narrow.budgets, strict=True):
        gap = one.accuracy[PLANNER] - other.accuracy[PLANNER]
        kept = one.within(PLANNER) and other.within(PLANNER)
        if kept:
            gaps.append(gap)
        rows.append(
            {
                "samples": one.budget / wide.unit,
                "kept": kept,
                "wide": points(draw.interval(one.accuracy[PLANNER])),
                "narrow": points(draw.interval(other.accuracy[PLANNER])),
                "above": points(draw.interval(gap)),
                "spent": _spent((one, other), wide.unit),
            }
        )
    return {"rows": rows, "mean": points(draw.interval(np.mean(gaps, axis=0))) if gaps else None}


def _spent(met: Sequence[BudgetMet], unit: float) -> list[float]:
    """Mean samples of each."""
    return [float(one.flops[PLANNER].mean()) / unit for one in met]
