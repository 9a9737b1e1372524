"""The derived table: accuracy and cost of every choice on every problem.

Votes over n samples come from pools (``search.log.subsets``), ``cot`` from the greedy draw, adaptive votes
and cascades from pools in random orders (``search.log.orders``), tree searches from their runs. Nothing here
is measured anew, so the table can be rebuilt at any time: ``rebuild_outcomes(log)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import polars as pl

from search.errors import LogError
from search.log.costs import pool_cost
from search.log.orders import order_outcomes
from search.log.pool import Pool, aggregate, read_greedy, read_pools
from search.log.rows import placed, rewards_of, run_rows
from search.log.store import SearchLog
from search.log.subsets import RESAMPLES, derive_all
from search.log.tables import TABLES
from search.plan import Plan
from search.scores import SCORES

__all__ = [
    "add_outcomes",
    "build_outcomes",
    "default_plans",
    "greedy_outcomes",
    "pool_outcomes",
    "rebuild_outcomes",
    "run_outcomes",
]

_COLUMNS = TABLES["outcomes"].columns


def default_plans(samples: int) -> list[Plan]:
    """Plans that a pool of ``samples`` draws can replay: powers of four up to half of it, all scores."""
    numbers = [4**power for power in range(8) if 4**power <= max(1, samples // 2)]
    plans = [Plan.of("cot"), *(Plan.of("majority", n=n) for n in numbers)]
    for strategy in ("best_of_n", "weighted_vote"):
        plans += [Plan.of(strategy, n=n, score=name) for n in numbers if n > 1 for name in SCORES]
    return plans


def rebuild_outcomes(
    log: SearchLog, plans: Sequence[Plan], *, resamples: int = RESAMPLES, seed: int = 0
) -> pl.DataFrame:
    """Build ``outcomes`` and put it in place of what the log held. Take ``log.writing()`` around it."""
    frame = build_outcomes(log, plans, resamples=resamples, seed=seed)
    log.replace("outcomes", frame)
    return frame


def add_outcomes(log: SearchLog, plans: Iterable[Plan]) -> None:
    """Build outcomes of these plans, and of those that the log had before it was extended.

    Takes ``log.writing()``.
    """
    before = log.read("outcomes", ["plan"])["plan"].unique().to_list()
    every = {*plans, *map(Plan.parse, before)}
    with log.writing():
        rebuild_outcomes(log, sorted(plan for plan in every if not plan.must_run))


def build_outcomes(
    log: SearchLog, plans: Sequence[Plan], *, resamples: int = RESAMPLES, seed: int = 0
) -> pl.DataFrame:
    """One row per problem x choice, for every policy and PRM of the log.

    ``plans`` are those to derive from pools and greedy draws; every tree plan that was run has its
    rows whether it is named or not. A plan whose n is larger than a problem's pool, or whose PRM
    has not scored it, has no row for that problem. Columns as in ``TABLES["outcomes"]``, key order.
    """
    parts = [run_outcomes(log)]
    pools = {policy: read_pools(log, policy) for policy in log.manifest.policies}
    for policy, mine in pools.items():
        if any(plan.is_greedy for plan in plans):
            parts.append(greedy_outcomes(log, policy))
        parts.append(pool_outcomes(log, mine.values(), plans, resamples=resamples, seed=seed))
    ordered = [plan for plan in plans if plan.is_ordered]
    if ordered:
        parts.append(order_outcomes(log, pools, ordered, resamples=resamples, seed=seed))
    return pl.concat(parts).sort(TABLES["outcomes"].key)


def pool_outcomes(
    log: SearchLog,
    pools: Iterable[Pool],
    plans: Sequence[Plan],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pl.DataFrame:
    """Rows of the plans that pools can replay, under every PRM that scored a pool."""
    replayed = [plan for plan in plans if plan.is_pooled]
    free = [plan for plan in replayed if not plan.needs_prm]
    scored = [plan for plan in replayed if plan.needs_prm]
    columns: dict[str, list[object]] = {name: [] for name in _COLUMNS}
    for pool in pools:
        policy = log.manifest.policy(pool.policy)
        for prm, wanted in [("", free), *((prm, scored) for prm in pool.scores)]:
            fitting = [plan for plan in wanted if plan.n <= len(pool)]
            derived = derive_all(pool, fitting, prm or None, resamples=resamples, seed=seed)
            for plan, value in zip(fitting, derived, strict=True):
                cost = pool_cost(pool, plan.n, policy, log.manifest.prm(prm) if prm else None)
                row = (
                    *(
                        pool.problem_id,
                        pool.policy,
                        prm,
                        str(plan),
                        value.accuracy,
                        value.accuracy_se,
                        len(pool),
                    ),
                    *(None if math.isnan(value.reward) else value.reward, cost.tokens, cost.tokens_p90),
                    *(cost.flops, cost.flops_p90, None),
                )
                for name, entry in zip(_COLUMNS, row, strict=True):
                    columns[name].append(entry)
    return pl.DataFrame(columns, schema=dict(_COLUMNS))


def greedy_outcomes(log: SearchLog, policy: str) -> pl.DataFrame:
    """Rows of ``cot()``: one greedy draw, which has no error of its own since it never varies."""
    greedy = read_greedy(log, policy)
    tokens = [float(one.tokens + one.prompt_tokens) for one in greedy.values()]
    rate = log.manifest.policy(policy).flops(1.0)
    found = pl.DataFrame({"problem_id": list(greedy), "accuracy": [one.worth for one in greedy.values()]})
    alone = {"policy": policy, "prm": "", "plan": str(Plan.of("cot")), "accuracy_se": 0.0, "draws": 1}
    return _outcomes(
        found.with_columns(
            *(pl.lit(value).alias(name) for name, value in alone.items()),
            *(pl.Series(name, tokens, pl.Float64) for name in ("tokens", "tokens_p90")),
            *(pl.Series(name, tokens, pl.Float64) * rate for name in ("flops", "flops_p90")),
            *(pl.lit(None).alias(name) for name in ("reward", "seconds")),
        )
    )


def run_outcomes(log: SearchLog) -> pl.DataFrame:
    """Rows of the tree searches: means over a problem's runs.

    Two runs that agree are no certainty, so the standard error is that of a share with half a
    success and half a failure added. ``reward`` is the best score among the candidates that gave
    the run's answer, by the plan's own score.
    """
    problems = placed(log.read("problems", ["problem_id"]))
    tokens = (pl.col("policy_tokens") + pl.col("prm_tokens")).alias("tokens")
    parts = [pl.DataFrame(schema=dict(_COLUMNS))]
    for choice, rows in run_rows(problems, log.scan("runs"), "flops", "seconds", tokens).items():
        if rows["correct"].null_count():
            raise LogError("runs must be graded, got one without a grade")
        found = (
            rows.with_columns(reward=_chosen_rewards(rows, choice.plan.score))
            .group_by("at", maintain_order=True)
            .agg(
                accuracy=pl.col("correct").mean(),
                draws=pl.len(),
                share=(pl.col("correct").sum() + 0.5) / (pl.len() + 1.0),
                reward=pl.col("reward").mean(),
                tokens=pl.col("tokens").mean(),
                tokens_p90=pl.col("tokens").quantile(0.9, "linear"),
                flops=pl.col("flops").mean(),
                flops_p90=pl.col("flops").quantile(0.9, "linear"),
                seconds=pl.col("seconds").mean(),
            )
        )
        parts.append(
            _outcomes(
                found.with_columns(
                    problems["problem_id"].gather(found["at"]),
                    accuracy_se=(pl.col("share") * (1.0 - pl.col("share")) / pl.col("draws")).sqrt(),
                    policy=pl.lit(choice.policy),
                    prm=pl.lit(choice.prm or ""),
                    plan=pl.lit(str(choice.plan)),
                )
            )
        )
    return pl.concat(parts)


def _chosen_rewards(runs: pl.DataFrame, score: str | None) -> pl.Series:
    """(runs,) the best score among the candidates that gave the answer; null without a score or an answer."""
    if score is None:
        return pl.Series([None] * len(runs), dtype=pl.Float64)
    numbered = runs.select("answer", "candidates").with_row_index("row")
    flat = numbered.explode("candidates").unnest("candidates", separator=".")
    flat = flat.filter(pl.col("answer") == pl.col("candidates.answer"))
    rewards, lengths = rewards_of(flat["candidates.step_rewards"])
    scored = flat.select("row", pl.Series("score", aggregate(rewards.astype("float64"), lengths)[score]))
    best = scored.group_by("row").agg(pl.col("score").max())
    return numbered.join(best, on="row", how="left", maintain_order="left")["score"]


def _outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in _COLUMNS.items())
