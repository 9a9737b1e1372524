"""Mean reward, accuracy and cost per policy x PRM x difficulty bin x plan.

Difficulty is the policy's own Pass@1. Bins are formed on other samples than those that are scored:
each pool is split, one part says how hard the problem is, the other is what plans are derived from
(greedy draws and tree runs are other samples anyway). Absolute thresholds are the rule; quantiles
over the problem set exist for comparison only, since an "easiest fifth" means another thing on
every problem set.

Pools may be uneven: a policy is compared on the problems whose pool holds the largest n, and plans are those
that fit into the pools of at least half of them. Where every pool is one sample nothing is left to judge
difficulty by, and all problems are one bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from search.choice import Choice
from search.errors import LogError
from search.log.orders import order_outcomes
from search.log.outcomes import default_plans, greedy_outcomes, pool_outcomes, run_outcomes
from search.log.pool import Pool, read_pools
from search.log.store import SearchLog
from search.log.subsets import RESAMPLES
from search.plan import Plan
from search.strategies.replay import needs_of

__all__ = ["ALL", "THRESHOLDS", "Usual", "bin_names", "bins", "difficulty_bins", "usual_pools"]

#: easy from 0.5, medium from 0.1, hard below
THRESHOLDS = (0.5, 0.1)
#: the bin of problems with one sample each
ALL = "all"


@dataclass(frozen=True, slots=True)
class Usual:
    """The pools of one policy: at least half of its problems have ``size`` samples; ``fewer`` have less."""

    size: int
    problems: int
    fewer: int


def usual_pools(log: SearchLog) -> dict[str, Usual]:
    """The usual pool of every policy that has samples."""
    drawn = log.scan("samples").filter(pl.col("draw") >= 0).group_by("problem_id", "policy").len().collect()
    found = {}
    for (policy,), part in drawn.sort("policy").group_by("policy", maintain_order=True):
        sizes = sorted(part["len"].to_list(), reverse=True)
        usual = sizes[(len(sizes) - 1) // 2]
        found[str(policy)] = Usual(usual, len(sizes), sum(size < usual for size in sizes))
    return found


def bin_names(thresholds: Sequence[float] = THRESHOLDS) -> list[str]:
    """Names of the absolute bins, easiest first.

    >>> bin_names()
    ['easy', 'medium', 'hard']
    >>> bin_names((0.8, 0.4, 0.1))
    ['>= 0.8', '0.4-0.8', '0.1-0.4', '< 0.1']
    """
    if not thresholds:
        raise ValueError("thresholds hold at least one number, got none")
    if any(not 0.0 < value < 1.0 for value in thresholds) or list(thresholds) != sorted(
        set(thresholds), reverse=True
    ):
        raise ValueError(f"thresholds fall and lie between 0 and 1, got {', '.join(map(str, thresholds))}")
    if len(thresholds) == 2:
        return ["easy", "medium", "hard"]
    between = [f"{low:g}-{high:g}" for high, low in pairwise(thresholds)]
    return [f">= {thresholds[0]:g}", *between, f"< {thresholds[-1]:g}"]


def difficulty_bins(
    pass_rates: pl.Series, thresholds: Sequence[float] = THRESHOLDS, quantiles: int | None = None
) -> pl.Series:
    """The bin of each Pass@1 as an ordered enum, easiest first.

    ``quantiles=k`` cuts into k bins of (nearly) equal numbers of problems instead; ties in Pass@1
    fall to either side by their place, as quantile bins do.

    >>> difficulty_bins(pl.Series([0.5, 0.49, 0.1, 0.0])).to_list()
    ['easy', 'medium', 'medium', 'hard']
    >>> difficulty_bins(pl.Series([0.5, 0.49, 0.1, 0.0]), quantiles=2).to_list()
    ['quantile 1', 'quantile 1', 'quantile 2', 'quantile 2']
    """
    if quantiles is not None:
        if quantiles < 1:
            raise ValueError(f"quantiles must be at least 1, got {quantiles}")
        names = [f"quantile {number}" for number in range(1, quantiles + 1)]
        place = pass_rates.rank("ordinal", descending=True) - 1
        number = (place * quantiles // max(1, len(pass_rates))).cast(pl.Int64)
    else:
        names = bin_names(thresholds)
        number = pl.Series(
            [sum(rate < threshold for threshold in thresholds) for rate in pass_rates], dtype=pl.Int64
        )
    return pl.Series("bin", [names[at] for at in number.to_list()], dtype=pl.Enum(names))


def bins(
    log: SearchLog,
    thresholds: Sequence[float] = THRESHOLDS,
    quantiles: int | None = None,
    *,
    plans: Sequence[Plan] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pl.DataFrame:
    """The table of bins.

    One row per policy x PRM x bin x plan: ``problems``, ``accuracy``, ``accuracy_se`` (over the
    problems of the cell), ``reward`` (of the chosen candidate), ``tokens``, ``flops`` (means,
    logical) and ``best``: the most accurate plan of the cell, the cheaper of equals. Plans that ask
    no PRM compete in the cell of every PRM of their policy (PRM "" where the policy has none).
    A plan counts only where every problem of its cell has it, so that plans of one cell are
    compared on the same problems.

    ``plans`` left out: those of the log's ``outcomes``, or (none built yet) powers of four up to half
    of the policy's usual pool under every score. Tree plans that were run are always there.

    A pool counts where its scored part holds the largest n and at least one sample is left for the bin.
    Raises LogError when no pool of a policy is so large.
    """
    usual = usual_pools(log)
    runs = run_outcomes(log)
    wanted = {
        policy: _logged_plans(log, usual[policy].size)
        if plans is None and policy in usual
        else list(plans or ())
        for policy in log.manifest.policies
    }
    halves = {policy: _parted(log, policy, mine) for policy, mine in wanted.items()}
    scored = {policy: {part.problem_id: part for _, part in parts} for policy, (parts, _) in halves.items()}
    ordered = list({plan: None for mine in wanted.values() for plan in mine if plan.is_ordered})
    found = order_outcomes(log, scored, ordered, resamples=resamples, seed=seed)
    tables = [
        _policy_bins(
            log=log,
            policy=policy,
            halves=parts,
            single=single,
            thresholds=thresholds,
            quantiles=quantiles,
            plans=wanted[policy],
            others=pl.concat([runs, found]).filter(pl.col("policy") == policy),
            resamples=resamples,
            seed=seed,
        )
        for policy, (parts, single) in halves.items()
    ]
    if not tables:
        raise LogError(f"bins need a log with samples, got none in {log.where!r}")
    return pl.concat(tables)


def _parted(log: SearchLog, policy: str, plans: Sequence[Plan]) -> tuple[list[tuple[Pool, Pool]], bool]:
    """A policy's pools, each in what says how hard its problem is and what is scored; whether all hold one
    sample, which then does both."""
    largest = max([1, *(_drawn(plan, policy) for plan in plans)])
    pools = list(read_pools(log, policy).values())
    if not pools:
        raise LogError(f"bins need samples of every policy of the log, got none of {policy!r}")
    single = largest == 1 and all(len(pool) == 1 for pool in pools)
    # one sample each: what is scored would judge itself
    return [(pool, pool) for pool in pools] if single else _enough(pools, largest), single


def _drawn(plan: Plan, policy: str) -> int:
    """Draws of a policy that replaying a plan takes."""
    if plan.parts:
        lead = plan.parts[0]
        return needs_of(Choice(lead.policy, lead.prm if plan.needs_prm else None, plan)).draws.get(policy, 0)
    return plan.n if plan.is_pooled or plan.is_ordered else 0


def _policy_bins(
    *,
    log: SearchLog,
    policy: str,
    halves: Sequence[tuple[Pool, Pool]],
    single: bool,
    thresholds: Sequence[float],
    quantiles: int | None,
    plans: Sequence[Plan],
    others: pl.DataFrame,
    resamples: int,
    seed: int,
) -> pl.DataFrame:
    judged = pl.DataFrame(
        {
            "problem_id": [judge.problem_id for judge, _ in halves],
            "pass_rate": [judge.pass_rate for judge, _ in halves],
        }
    )
    whole = pl.Series("bin", [ALL] * len(judged), dtype=pl.Enum([ALL]))
    judged = judged.with_columns(
        whole if single else difficulty_bins(judged["pass_rate"], thresholds, quantiles)
    )
    outcomes = [
        pool_outcomes(log, [scored for _, scored in halves], plans, resamples=resamples, seed=seed),
        others,
    ]
    if any(plan.is_greedy for plan in plans):
        outcomes.append(greedy_outcomes(log, policy))
    rows = pl.concat(outcomes).drop("policy").join(judged, on="problem_id")
    prms = [prm for prm in rows["prm"].unique().sort() if prm] or [""]
    free = rows.filter(pl.col("prm") == "").drop("prm").join(pl.DataFrame({"prm": prms}), how="cross")
    cells = (
        pl.concat([rows.filter(pl.col("prm") != ""), free.select(rows.columns)])
        # means depend on the order of their rows in the last bit
        .sort("prm", "bin", "plan", "problem_id")
        .group_by("prm", "bin", "plan", maintain_order=True)
        .agg(
            problems=pl.len(),
            accuracy=pl.col("accuracy").mean(),
            accuracy_se=pl.col("accuracy").std() / pl.len().sqrt(),
            reward=pl.col("reward").mean(),
            tokens=pl.col("tokens").mean(),
            flops=pl.col("flops").mean(),
        )
        .filter(pl.col("problems") == pl.col("problems").max().over("prm", "bin"))
        .sort("prm", "bin", "flops", "plan")
        .with_columns(policy=pl.lit(policy))
    )
    best = (
        cells.sort(["accuracy", "flops", "plan"], descending=[True, False, False])
        .group_by("prm", "bin")
        .first()
    )
    best = best.select("prm", "bin", "plan", best=pl.lit(True))
    names = (
        "policy",
        "prm",
        "bin",
        "plan",
        "problems",
        "accuracy",
        "accuracy_se",
        "reward",
        "tokens",
        "flops",
        "best",
    )
    return (
        cells.join(best, on=["prm", "bin", "plan"], how="left", maintain_order="left")
        .with_columns(pl.col("best").fill_null(False), pl.col("bin").cast(pl.String))
        .select(names)
    )


def _logged_plans(log: SearchLog, samples: int) -> list[Plan]:
    """Plans that a pool of ``samples`` can replay and leave one for the bin."""
    built = log.scan("outcomes").select(pl.col("plan").unique()).collect()["plan"].to_list()
    plans = [Plan.parse(text) for text in sorted(built)]
    return [plan for plan in plans if _largest(plan) < samples] or default_plans(samples)


def _largest(plan: Plan) -> int:
    """Draws of one policy that replaying a plan takes at most."""
    return max([plan.n] if not plan.parts else [part.plan.n for part in plan.walk() if not part.plan.parts])


def _enough(pools: Sequence[Pool], largest: int) -> list[tuple[Pool, Pool]]:
    """The halves of every pool that is large enough."""
    halves = [found for pool in pools if (found := _halves(pool, largest)) is not None]
    if not halves:
        pool = max(pools, key=len)
        raise LogError(
            f"a pool holds more samples than the largest n, since bins are formed on others than those "
            f"scored, got {len(pool)} of {pool.policy!r} for {pool.problem_id!r} and n={largest}"
        )
    return halves


def _halves(pool: Pool, largest: int) -> tuple[Pool, Pool] | None:
    """(says how hard the problem is, is scored): halves, or all but what the largest n needs."""
    judge, scored = pool.halves()
    if len(scored) < largest:
        judge, scored = pool.split(max(0, len(pool) - largest))
    return (judge, scored) if len(judge) and len(scored) >= largest else None
