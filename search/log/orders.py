"""Adaptive votes and cascades from pools: outcomes by replay in random orders of the draws.

A pool's draws are exchangeable, so a random order of them stands for a run (``Strategy.replay``). Standard
errors are the bound (n/N) Var(one run) of Hoeffding (1948) plus the noise of finitely many orders.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from search.choice import Choice
from search.log.pool import Greedy, Pool, read_greedy
from search.log.store import SearchLog
from search.log.subsets import RESAMPLES
from search.log.tables import TABLES
from search.plan import Plan
from search.strategies.replay import Draws, Needs, Record, charged, needs_of, replay_plan

__all__ = ["order_outcomes"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: policy -> problem -> its greedy answer
_Greedy = Mapping[str, Mapping[str, Greedy]]


def order_outcomes(
    log: SearchLog,
    pools: Mapping[str, Mapping[str, Pool]],
    plans: Sequence[Plan],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pl.DataFrame:
    """Rows of plans that an order of draws replays; columns as in ``TABLES["outcomes"]``.

    ``pools``: policy -> problem -> pool. A problem for which a plan lacks draws, greedy answers or scores has
    no row; so has a plan whose policies the log does not know.
    """
    columns = TABLES["outcomes"].columns
    rows: list[tuple[object, ...]] = []
    greedy = {policy: read_greedy(log, policy) for policy in pools}
    for choice in _choices(pools, plans):
        needs = needs_of(choice)
        for problem in pools.get(choice.policy, {}):
            if _holds(needs, problem, pools, greedy):
                rows.append(_row(log, choice, problem, pools, greedy, resamples=resamples, seed=seed))
    named = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
    return pl.DataFrame(named, schema=dict(columns))


def _choices(pools: Mapping[str, Mapping[str, Pool]], plans: Sequence[Plan]) -> list[Choice]:
    found = []
    for plan in plans:
        if plan.parts:
            lead = plan.parts[0]
            found.append(Choice(lead.policy, lead.prm if plan.needs_prm else None, plan))
        elif not plan.needs_prm:
            found += [Choice(policy, None, plan) for policy in pools]
        else:
            for policy, mine in pools.items():
                scored = sorted({prm for pool in mine.values() for prm in pool.scores})
                found += [Choice(policy, prm, plan) for prm in scored]
    return found


def _holds(needs: Needs, problem: str, pools: Mapping[str, Mapping[str, Pool]], greedy: _Greedy) -> bool:
    for policy, count in needs.draws.items():
        pool = pools.get(policy, {}).get(problem)
        if pool is None or len(pool) < count:
            return False
    return all(problem in greedy.get(policy, {}) for policy in needs.greedy) and all(
        prm in pools[policy][problem].scores for policy, prm in needs.scored
    )


def _row(
    log: SearchLog,
    choice: Choice,
    problem: str,
    pools: Mapping[str, Mapping[str, Pool]],
    greedy: _Greedy,
    *,
    resamples: int,
    seed: int,
) -> tuple[object, ...]:
    needs = needs_of(choice)
    met = replay_plan(choice.plan, _record(choice, problem, pools, greedy, resamples=resamples, seed=seed))

    def policies(policy: str) -> tuple[float, float]:
        pool = pools.get(policy, {}).get(problem)
        prompt = greedy[policy][problem].prompt_tokens if pool is None else pool.prompt_tokens
        return prompt, log.manifest.policy(policy).flops(1.0)

    def prms(policy: str, prm: str) -> tuple[float, float, float]:
        scores = pools[policy][problem].scores[prm]
        return float(scores.tokens.mean()), scores.prompt_tokens, log.manifest.prm(prm).flops(1.0)

    tokens, flops = charged(met, policies, prms)
    accuracy = float(met.right.mean())
    size = min([len(pools[policy][problem]) for policy in needs.draws], default=1)
    share = max([count / len(pools[policy][problem]) for policy, count in needs.draws.items()], default=1.0)
    spread = accuracy * (1.0 - accuracy)
    error = float(np.sqrt(share * spread + spread / resamples))
    return (
        *(problem, choice.policy, choice.prm or "", str(choice.plan), accuracy, error, size, None),
        *(float(tokens.mean()), float(np.quantile(tokens, 0.9)), float(flops.mean())),
        *(float(np.quantile(flops, 0.9)), None),
    )


def _record(
    choice: Choice,
    problem: str,
    pools: Mapping[str, Mapping[str, Pool]],
    greedy: _Greedy,
    *,
    resamples: int,
    seed: int,
) -> Record:
    wanted = {(choice.policy, choice.prm): choice.plan.score}
    wanted |= {(part.policy, part.prm): part.plan.score for part in choice.plan.walk()}
    draws = {}
    for (policy, prm), score in wanted.items():
        pool = pools.get(policy, {}).get(problem)
        order = _order(0 if pool is None else len(pool), policy, resamples=resamples, seed=seed)
        one = greedy.get(policy, {}).get(problem)
        every = np.ones(resamples)
        draws[policy, prm] = Draws(
            group=np.zeros((resamples, 0), np.int64) if pool is None else pool.group[order],
            right=np.zeros((resamples, 0), np.bool_) if pool is None else pool.correct[order],
            tokens=np.zeros((resamples, 0)) if pool is None else pool.tokens[order].astype(np.float64),
            scores=None if pool is None or prm is None or score is None else pool.score(prm, score)[order],
            greedy_group=None if one is None else np.full(resamples, 0 if one.readable else -1),
            greedy_right=None if one is None else np.full(resamples, one.worth),
            greedy_tokens=None if one is None else every * one.tokens,
            signals={} if pool is None else {name: values[order] for name, values in pool.signals.items()},
        )
    return Record((choice.policy, choice.prm), draws)


def _order(size: int, policy: str, *, resamples: int, seed: int) -> Ints:
    """(B, N) random orders, the same for all pools of one size and policy."""
    rng = np.random.default_rng([seed, size, zlib.crc32(policy.encode())])
    return np.asarray(rng.random((resamples, size)).argsort(axis=1))
