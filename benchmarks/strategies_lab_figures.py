"""What the lab's log says of every plan: accuracy and cost, and points above a plain vote that costs as much.

Questions count that all plans have answered. A plain vote at equal mean FLOPs is a random split of the
questions between two of its sizes (``planner.evaluation.frontier``); above 64 samples it stays there. Votes
are means over random subsets of the logged samples, trees one run each. Intervals are 95%, from resamples of
whole families of questions, the same for all, so that differences are paired. How hard a question is, the
policy's own further samples say, which no plan was replayed from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from strategies_lab import StageSeconds
from strategies_lab_plans import (
    BUDGETS,
    JUDGED,
    LARGER,
    LARGER_DRAWS,
    NOT_RUN,
    POLICY,
    PRM,
    VOTED,
    plans,
)

from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Interval, Resampler
from search.log.bins import difficulty_bins
from search.log.orders import order_outcomes
from search.log.outcomes import greedy_outcomes, pool_outcomes, run_outcomes
from search.log.pool import Pool, read_pools
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

__all__ = ["Measured", "compared", "figures", "nearest", "points", "verdict"]

Floats = NDArray[np.float64]
Found = dict[str, Any]

RESAMPLES, SEED = 4000, 0
THIRDS = 3
#: the larger policy's own votes, which a cascade has to pass too
_LARGER_VOTES = (1, 4, LARGER_DRAWS)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a plan met on each question (P,). ``seconds``: of the machine, per question."""

    strategy: str
    policy: str
    plan: Plan
    accuracy: Floats
    tokens: Floats
    flops: Floats
    seconds: float | None = None


def figures(log: SearchLog, problems: Sequence[Problem], pace: StageSeconds) -> Found:
    """Everything, for ``strategies.json``. Only questions that all plans have answered count."""
    pools = {name: read_pools(log, name) for name in log.manifest.policies}
    own = {one: pool.take(np.arange(VOTED)) for one, pool in pools[POLICY].items()}
    rows = _outcomes(log, own, pools.get(LARGER, {}))
    named = [(strategy, POLICY, plan) for strategy, some in plans().items() for plan in some]
    named += [("majority", LARGER, Plan.of("majority", n=n)) for n in _LARGER_VOTES]
    tables = {
        (policy, plan): rows.filter(policy=policy, plan=str(plan)).unique("problem_id", keep="first")
        for _, policy, plan in named
    }
    answered = set.intersection(*(set(one["problem_id"]) for one in tables.values()))
    kept = [one for one in problems if one.problem_id in answered]
    about: Found = {
        **{"policy": POLICY, "larger": LARGER, "prm": PRM, "budgets": list(BUDGETS), "asked": len(problems)},
        **{"questions": len(kept), "families": len({one.family for one in kept}), "resamples": RESAMPLES},
        **{"judged": JUDGED, "not_run": NOT_RUN},
    }
    if not kept:
        return {**about, "rows": [], "thirds": []}
    order = pl.DataFrame({"problem_id": [one.problem_id for one in kept]})
    met = [
        _met(
            order.join(tables[policy, plan], on="problem_id", maintain_order="left"),
            strategy,
            policy,
            plan,
            pace,
        )
        for strategy, policy, plan in named
    ]
    rates = [pools[POLICY][one.problem_id].take(np.arange(VOTED, VOTED + JUDGED)).pass_rate for one in kept]
    bins = difficulty_bins(pl.Series(rates), quantiles=THIRDS).to_physical().to_numpy()
    thirds = [
        {"questions": int((bins == k).sum()), "rate": 100 * float(np.mean(np.array(rates)[bins == k]))}
        for k in range(THIRDS)
    ]
    return {**about, "rows": compared(met, [one.family for one in kept], bins), "thirds": thirds}


def _outcomes(log: SearchLog, own: Mapping[str, Pool], larger: Mapping[str, Pool]) -> pl.DataFrame:
    """Rows of all plans, as in the log's table of outcomes."""
    every = [plan for some in plans().values() for plan in some]
    votes = [Plan.of("majority", n=n) for n in _LARGER_VOTES]
    return pl.concat(
        [
            run_outcomes(log),
            greedy_outcomes(log, POLICY),
            pool_outcomes(log, own.values(), every),
            pool_outcomes(log, larger.values(), votes),
            order_outcomes(log, {POLICY: own, LARGER: larger}, [plan for plan in every if plan.is_ordered]),
        ]
    )


def _met(rows: pl.DataFrame, strategy: str, policy: str, plan: Plan, pace: StageSeconds) -> Measured:
    accuracy, tokens, flops = (rows[name].to_numpy() for name in ("accuracy", "tokens", "flops"))
    return Measured(strategy, policy, plan, accuracy, tokens, flops, _seconds(policy, plan, pace))


def _seconds(policy: str, plan: Plan, pace: StageSeconds) -> float | None:
    """Of the machine, per question, in batches; None where a plan was replayed and never ran as such."""
    if plan.is_greedy:
        return pace.greedy(policy)
    if plan.is_ordered:
        return None
    if plan.must_run:
        return pace.run(policy, str(plan.with_(vote="max")), PRM)  # the vote that was run
    each = [pace.sample(policy, JUDGED)]
    if plan.needs_prm:
        each.append(pace.scoring(policy, PRM, JUDGED))
    return None if None in each else plan.n * math.fsum(one for one in each if one is not None)


def compared(met: Sequence[Measured], families: Sequence[str], bins: NDArray[np.int64]) -> list[Found]:
    """A record per plan. ``bins`` (P,): the third of each question, 0 for the easiest."""
    vote = [one for one in met if (one.strategy, one.policy) == ("majority", POLICY)]
    track = Track(
        "majority",
        *(np.stack([getattr(one, name) for one in vote], axis=1) for name in ("accuracy", "tokens", "flops")),
    )
    first, last = track.flops[:, 0].mean(), track.flops[:, -1].mean()
    sample = (last - first) / (vote[-1].plan.n - vote[0].plan.n)
    whole = _resampler(families)
    parts = [np.flatnonzero(bins == third) for third in range(THIRDS)]
    resamplers = [_resampler([families[at] for at in part]) if len(part) else None for part in parts]
    found = []
    for one in met:
        flops = float(one.flops.mean())
        above = one.accuracy - track.at(flops)[0]
        is_vote = one in vote
        thirds = [
            None
            if resampler is None
            else {
                "accuracy": 100 * float(one.accuracy[part].mean()),
                "above": None if is_vote else points(resampler.interval(above[part])),
            }
            for part, resampler in zip(parts, resamplers, strict=True)
        ]
        samples = vote[0].plan.n + (flops - first) / sample
        found.append(
            {
                **{"strategy": one.strategy, "policy": one.policy, "plan": str(one.plan)},
                **{"budget": nearest(samples), "samples": samples, "flops": flops},
                **{"tokens": float(one.tokens.mean()), "seconds": one.seconds},
                "accuracy": points(whole.interval(one.accuracy)),
                "above": None if is_vote else points(whole.interval(above)),
                "thirds": thirds,
            }
        )
    return found


def _resampler(families: Sequence[str]) -> Resampler:
    """Draws whole families, few as they are: their questions are alike."""
    return Resampler(len(families), clusters=families, resamples=RESAMPLES, seed=SEED)


def nearest(samples: float) -> int:
    """The budget that a cost is nearest to, by ratio.

    >>> nearest(1.0), nearest(7.9), nearest(8.1), nearest(60.0)
    (4, 4, 16, 64)
    """
    return min(BUDGETS, key=lambda budget: abs(math.log(max(samples, 1e-9) / budget)))


def points(interval: Interval) -> list[float]:
    """Mean and both ends, in percent, to a tenth."""
    return [round(100 * value, 1) for value in (interval.value, interval.low, interval.high)]


def verdict(above: Sequence[float]) -> str:
    """``won``, ``lost`` or ``level``, by whether the interval of a difference leaves 0 out.

    >>> verdict([2.0, 0.1, 4.0]), verdict([2.0, -0.1, 4.0]), verdict([-2.0, -3.0, -0.1])
    ('won', 'level', 'lost')
    """
    return "won" if above[1] > 0.0 else "lost" if above[2] < 0.0 else "level"
