"""What ``head_to_head.py`` measured, as figures: of the answers, and of the real campaign's log.

All contestants are compared on the questions that every one of them has answered. Intervals are 95%, from
resamples of questions, the same for all, so that differences are paired.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from real_campaign import LARGE, SMALL
from versus_contestants import BUDGETS, CONTESTANTS
from versus_deepconf import KEPT, elected
from versus_router import Router, fit_router
from versus_rows import Block, Row, Rows

from planner.evaluation.baselines.fixed import sizes
from planner.evaluation.intervals import Interval, Resampler
from search.grading.registry import domain
from search.log.outcomes import greedy_outcomes, pool_outcomes
from search.log.pool import read_pools
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

__all__ = ["SHARES", "answers_of", "compared", "figures", "pooled", "routed"]

#: shares of questions that the routers send to the large model
SHARES = (0.25, 0.5, 0.75)
RESAMPLES, SEED = 4000, 0
MIXED = "a coin between both models, at the same cost"

Floats = NDArray[np.float64]
Found = dict[str, Any]


def figures(questions: Sequence[Problem], rows: Rows, log: Path) -> Found:
    """Everything, for ``head_to_head.json``."""
    opened = SearchLog.open(log)
    router = fit_router(opened, SMALL)
    answers = answers_of(rows)
    routers = routed(questions, answers, router)
    found = compared(questions, {**answers, **routers}, rows.blocks())
    return {
        **found,
        "asked": len(questions),
        "missing": [one.caption for one in CONTESTANTS if one.name not in answers],
        "router": {"questions": len(router.problems), "strength": router.strength},
        "pool": pooled(opened, router),
        "resamples": RESAMPLES,
    }


def answers_of(rows: Rows) -> dict[str, dict[str, Row]]:
    """Contestant -> question -> row, of those that have answered anything."""
    found = {one.name: rows.of(one.name) for one in CONTESTANTS}
    return {name: mine for name, mine in found.items() if mine}


def routed(
    questions: Sequence[Problem], answers: Mapping[str, Mapping[str, Row]], router: Router
) -> dict[str, dict[str, Row]]:
    """What the router answers at each share: the greedy answer of either model."""
    small, large = answers.get("greedy-small", {}), answers.get("greedy-large", {})
    both = [one for one in questions if one.problem_id in small and one.problem_id in large]
    if not both:
        return {}
    chances = router.chances([one.question for one in both])
    found = {}
    for share in SHARES:
        least = router.threshold(share)
        found[f"router-{100 * share:.0f}"] = {
            one.problem_id: (large if chance < least else small)[one.problem_id]
            for one, chance in zip(both, chances, strict=True)
        }
    return found


def compared(
    questions: Sequence[Problem], answers: Mapping[str, Mapping[str, Row]], blocks: Sequence[Block]
) -> Found:
    """Contestants on the questions that all have answered, and their differences."""
    common = [one.problem_id for one in questions if all(one.problem_id in mine for mine in answers.values())]
    if not answers or not common:
        return {"questions": 0, "contestants": [], "differences": []}
    resampler = Resampler(len(common), resamples=RESAMPLES, seed=SEED)
    right = {name: np.array([float(mine[one].right) for one in common]) for name, mine in answers.items()}
    usd = {name: 1e6 * np.array([mine[one].usd for one in common]) for name, mine in answers.items()}
    contestants = [
        {
            "name": name,
            "caption": caption(name),
            "answered": len(mine),
            "right": int(right[name].sum()),
            **_interval("accuracy", resampler.interval(right[name])),
            **_interval("usd", resampler.interval(usd[name])),
            **_tokens([mine[one] for one in common]),
            **_time(name, [mine[one] for one in common], blocks),
            "lost": sum(mine[one].error is not None for one in common),
        }
        for name, mine in answers.items()
    ]
    return {
        "questions": len(common),
        "contestants": contestants,
        "differences": _differences(right, usd, resampler),
    }


def caption(name: str) -> str:
    """What a contestant is called on the page."""
    if name.startswith("router-"):
        return f"text router, {name.removeprefix('router-')}% to the 1.5B"
    return next(one.caption for one in CONTESTANTS if one.name == name)


def _interval(name: str, met: Interval) -> Found:
    return {name: met.value, f"{name}_low": met.low, f"{name}_high": met.high}


def _tokens(rows: Sequence[Row]) -> Found:
    """Per question."""
    return {
        "prompt": statistics.fmean(row.prompt for row in rows),
        "generated": statistics.fmean(row.generated for row in rows),
    }


def _time(name: str, rows: Sequence[Row], blocks: Sequence[Block]) -> Found:
    """Seconds of the machine per question, the median answer's, and tokens that the door counted over those
    that were charged. What was computed from others' answers took none of its own."""
    mine = [block for block in blocks if block.contestant == name]
    if not mine:
        return {"seconds": None, "median_seconds": None, "together": None, "counted": None, "load": None}
    asked = sum(block.questions for block in mine)
    return {
        "seconds": sum(block.seconds for block in mine) / asked,
        "median_seconds": statistics.median(row.seconds for row in rows),
        "together": mine[-1].together,
        "counted": sum(generated for block in mine for _, generated in block.counted.values()) / asked,
        "load": max(block.load for block in mine),
    }


def _differences(right: Mapping[str, Floats], usd: Mapping[str, Floats], resampler: Resampler) -> list[Found]:
    """The planner at each budget against every other contestant, in points."""
    found = []
    for budget in BUDGETS:
        name = f"planner-{budget}"
        if name not in right:
            continue
        for rival in right:
            if not rival.startswith("planner-"):
                met = resampler.interval(100.0 * (right[name] - right[rival]))
                ratio = float(usd[name].mean() / usd[rival].mean())
                found.append(_difference(name, caption(rival), met, ratio))
        if {"greedy-small", "greedy-large"} <= set(right):
            found.append(_difference(name, MIXED, _above_coin(name, right, usd, resampler), 1.0))
    return found


def _difference(name: str, rival: str, met: Interval, ratio: float) -> Found:
    told = {"difference": met.value, "low": met.low, "high": met.high, "cost_ratio": ratio}
    return {"planner": caption(name), "rival": rival, **told}


def _above_coin(
    name: str, right: Mapping[str, Floats], usd: Mapping[str, Floats], resampler: Resampler
) -> Interval:
    """Against asking the large model with the probability that costs as much, in every resample."""

    def above(accuracy: Mapping[str, Any], cost: Mapping[str, Any]) -> Any:
        spread = cost["greedy-large"] - cost["greedy-small"]
        share = np.clip((cost[name] - cost["greedy-small"]) / spread, 0.0, 1.0)
        coin = accuracy["greedy-small"] + share * (accuracy["greedy-large"] - accuracy["greedy-small"])
        return 100.0 * (accuracy[name] - coin)

    names = (name, "greedy-small", "greedy-large")
    drawn = above(
        {one: resampler.means(right[one]) for one in names}, {one: resampler.means(usd[one]) for one in names}
    )
    value = above({one: right[one].mean() for one in names}, {one: usd[one].mean() for one in names})
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


# -- the log of the real campaign -------------------------------------------------------------------


def pooled(log: SearchLog, router: Router) -> list[Found]:
    """Rules that are functions of logged answers, each on all questions that hold what it needs."""
    small, large = _greedy(log, SMALL), _greedy(log, LARGE)
    found = [_pooled("0.5B, greedy", small), _pooled("1.5B, greedy", large)]
    pools = read_pools(log, SMALL)
    least = min((len(pool) for pool in pools.values()), default=0)
    if least:
        plans = [Plan.of("majority", n=n) for n in sizes(least)]
        rows = pool_outcomes(log, pools.values(), plans).sort("problem_id")
        for plan in plans:
            mine = rows.filter(pl.col("plan") == str(plan))
            votes = dict(zip(mine["problem_id"], mine["accuracy"], strict=True))
            found.append(_pooled(f"0.5B, majority of {plan.n}", votes))
        found.append(_pooled(f"0.5B, DeepConf's weights, {least} samples", _weighted(log, least)))
    both = [one for one in router.problems if one in small and one in large]
    if both:
        found += [
            _pooled(f"{label}, greedy, where both are logged", {one: of[one] for one in both})
            for label, of in (("0.5B", small), ("1.5B", large))
        ]
        chance = dict(zip(router.problems, router.crossed, strict=True))
        for share in SHARES:
            least_chance = float(np.quantile([chance[one] for one in both], share))
            mine = {one: (large if chance[one] < least_chance else small)[one] for one in both}
            found.append(_pooled(f"text router, {100 * share:.0f}% to the 1.5B", mine))
    return [one for one in found if one["questions"]]


def _greedy(log: SearchLog, policy: str) -> dict[str, float]:
    if policy not in log.manifest.policies:
        return {}
    rows = greedy_outcomes(log, policy).sort("problem_id")
    return dict(zip(rows["problem_id"], rows["accuracy"], strict=True))


def _pooled(rule: str, values: Mapping[str, float]) -> Found:
    if not values:
        return {"rule": rule, "questions": 0}
    met = Resampler(len(values), resamples=RESAMPLES, seed=SEED).interval(np.array(list(values.values())))
    return {"rule": rule, "questions": len(values), **_interval("accuracy", met)}


def _weighted(log: SearchLog, count: int) -> dict[str, float]:
    """The first samples of every question, those that DeepConf keeps, their votes weighed by confidence."""
    columns = ["problem_id", "policy", "draw", "answer", "correct", "lowest_confidence"]
    rows = (
        log.read("samples", columns)
        .filter(pl.col("policy") == SMALL, pl.col("draw") >= 0)
        .sort("problem_id", "draw")
    )
    kinds = {
        one: (kind, answer)
        for one, kind, answer in log.read("problems", ["problem_id", "domain", "answer"]).rows()
    }
    found = {}
    for (problem_id,), mine in rows.group_by("problem_id", maintain_order=True):
        first = mine.head(count)
        if first["lowest_confidence"].null_count():
            continue
        least = float(np.percentile(first["lowest_confidence"].to_numpy(), 100.0 * (1.0 - KEPT)))
        kept = first.filter(pl.col("answer").is_not_null(), pl.col("lowest_confidence") >= least)
        kind, reference = kinds[problem_id]
        problem = Problem(problem_id, problem_id, kind, problem_id, reference)
        if kept.is_empty():
            found[problem_id] = 0.0
            continue
        votes = list(zip(kept["answer"], kept["lowest_confidence"], strict=True))
        grader = domain(kind)
        place, _ = elected(votes, partial(grader.equal, problem))
        found[problem_id] = float(kept["correct"][place])
    return found
