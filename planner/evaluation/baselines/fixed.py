"""Fixed choices as rivals: the best one, the best mixture of two, one strategy at its best n, and chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.config_table import ConfigTable, selected
from planner.evaluation.frontier import Track
from planner.evidence.matrix import Matrices

__all__ = ["best_fixed", "best_of_n", "majority", "mixture", "sizes", "uniform", "votes"]

Floats = NDArray[np.float64]

#: rows x samples worked on at once: bounds the memory
_CHUNK = 8_000_000


def mixture(context: BaselineContext) -> Track:
    """The best mixture of two fixed choices at every mean budget: the hull that training shows."""
    return selected("mixture", *context.fixed, context.selection, context.prices)


def best_fixed(context: BaselineContext, budget: float) -> Track:
    """The one fixed choice that training finds best among those within a mean budget. It never mixes."""
    test, training = context.fixed
    picks = np.empty((len(test), 1), np.int64)
    for part in context.selection:
        seen = training.rows(part.pick)
        cost = seen.flops.mean(axis=0)
        fits = cost <= budget * (1.0 + 1e-9)
        best = np.where(fits, seen.values.mean(axis=0), -1.0).argmax() if fits.any() else cost.argmin()
        picks[part.score, 0] = best
    return replace(test.track("best_fixed", picks), mixes=False)


def uniform(context: BaselineContext) -> Track:
    """A choice drawn at random: among the j cheapest, for every j, so that every budget has its chance."""
    test, training = context.fixed
    count = len(test.settings)
    out = np.empty((3, len(test), count))
    for part in context.selection:
        order = np.argsort(training.flops[part.pick].mean(axis=0), kind="stable")
        for target, values in zip(out, (test.values, test.tokens, test.flops), strict=True):
            target[part.score] = values[part.score][:, order].cumsum(axis=1) / np.arange(1, count + 1)
    return Track("random", *out)


def majority(context: BaselineContext) -> Track | None:
    """A vote over n samples of any one policy, at every n up to the largest that was logged."""
    tables = [
        context.both(partial(votes, context, policy, sizes(context.largest(policy))))
        for policy in context.policies
        if any(c.policy == policy and c.plan.is_pooled and not c.plan.needs_prm for c in context.data.choices)
    ]
    return context.picked("majority", tables)


def best_of_n(context: BaselineContext) -> Track | None:
    """The best of n samples under any one PRM and score of a logged plan, at every n up to the largest."""
    known = context.data.choices
    kinds = sorted(
        {
            (c.policy, str(c.prm), str(c.plan.score))
            for c in known
            if c.plan.is_pooled and c.plan.vote == "max"
        }
    )
    tables = []
    for kind in kinds:
        largest = max(
            c.plan.n
            for c in known
            if c.plan.is_pooled and c.plan.vote == "max" and (c.policy, str(c.prm), str(c.plan.score)) == kind
        )
        ns = [n for n in sizes(min(largest, context.largest(kind[0]))) if n > 1]
        if not ns:  # the training log has one sample of this policy
            continue
        tables.append(context.both(partial(_best, context, kind, ns)))
    singles = [
        context.both(partial(votes, context, policy, [1]))
        for policy in dict.fromkeys(kind[0] for kind in kinds)
    ]
    # below two samples there is nothing to choose from: one sample, and no PRM to pay
    return context.picked("best_of_n", [*singles, *tables])


def sizes(largest: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24, ... up to ``largest``, itself included.

    >>> sizes(20)
    [1, 2, 3, 4, 6, 8, 12, 16, 20]
    """
    steps = {size for power in range(largest.bit_length()) for size in (2**power, 3 * 2**power // 2)}
    return sorted({size for size in steps if 1 <= size <= largest} | {largest})


def votes(context: BaselineContext, policy: str, ns: Sequence[int], side: Matrices) -> ConfigTable:
    """Majority votes of one policy over each of ``ns`` samples."""
    running = context.running(side, policy)
    values = running.right[:, :, [n - 1 for n in ns]].mean(axis=1, dtype=np.float64)
    tokens = _drawn(side, policy, ns)
    return ConfigTable(
        settings=tuple(f"majority of {n} {policy}" for n in ns),
        values=values,
        tokens=tokens,
        flops=tokens * running.rate,
    )


def _best(
    context: BaselineContext, kind: tuple[str, str, str], ns: Sequence[int], side: Matrices
) -> ConfigTable:
    """Best of each of ``ns`` samples of a policy under a PRM's score: candidates compete, not answers."""
    policy, prm, score = kind
    data = side.data
    pool, scored = data.pools[policy], data.pools[policy].prms[prm]
    scores = np.where(pool.codes >= 0, scored.score(score), -np.inf)
    good = data.graded(pool.codes)
    order = context.running(side, policy).order[:, :, : max(ns)]
    values = np.empty((len(data), len(ns)))
    step = max(1, _CHUNK // order[0].size)
    for begin in range(0, len(data), step):
        drawn = order[begin : begin + step].astype(np.int64)
        at = np.arange(begin, begin + len(drawn))[:, None, None]
        met = scores[at, drawn]
        # where the best so far stands: a later one must be better
        leads = np.ones(met.shape, bool)
        leads[:, :, 1:] = met[:, :, 1:] > np.maximum.accumulate(met, axis=2)[:, :, :-1]
        place = np.maximum.accumulate(np.where(leads, np.arange(met.shape[2]), 0), axis=2)
        chosen = np.take_along_axis(drawn, place[:, :, [n - 1 for n in ns]], axis=2)
        values[begin : begin + step] = good[at, chosen].mean(axis=1)
    drawn_tokens = _drawn(side, policy, ns)
    judged = scored.prompt[:, None] + scored.tokens.mean(axis=1)[:, None] * np.asarray(ns, np.float64)
    flops = drawn_tokens * data.policies[policy].flops(1.0) + judged * data.prms[prm].flops(1.0)
    names = tuple(f"best of {n} {policy} by {score} of {prm}" for n in ns)
    return ConfigTable(settings=names, values=values, tokens=drawn_tokens + judged, flops=flops)


def _drawn(side: Matrices, policy: str, ns: Sequence[int]) -> Floats:
    """(P, len(ns)) expected tokens of n samples, the prompt once."""
    pool = side.data.pools[policy]
    return np.asarray(pool.prompt[:, None] + pool.tokens.mean(axis=1)[:, None] * np.asarray(ns, np.float64))
