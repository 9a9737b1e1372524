"""Honest labels for the planner: a probe was seen; how right will the final answer be?

The probe's samples stay candidates. Continuation draws are disjoint from it, so nothing that the
features have seen decides what the label is besides the probe itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.log.ballots import Ballots
from search.log.pool import Pool
from search.log.subsets import best_weights, ranking
from search.plan import Plan

__all__ = ["continuation_values"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def continuation_values(
    pool: Pool,
    probe_indices: Sequence[int] | npt.NDArray[np.int64],
    plans: Sequence[Plan],
    rng: np.random.Generator,
    resamples: int = 128,
    *,
    prm: str | None = None,
) -> Floats:
    """Expected correctness of the final answer, one value per plan.

    Parameters
    ----------
    pool:
        N samples of one policy on one problem.
    probe_indices:
        k places in the pool, in the order they were drawn.
    plans:
        ``majority``, ``best_of_n``, ``weighted_vote``. The union of the probe and n - k draws from
        the N - k others is voted or scored; for n <= k nothing is drawn and the probe decides.
    rng, resamples:
        Draws the continuations of votes (``best_of_n`` is exact). All plans share them.
    prm:
        Whose scores the plans use.

    Raises ValueError for other plans, for n beyond the pool, and for a plan that lacks its PRM.
    """
    probe = np.asarray(probe_indices, dtype=np.int64)
    size, seen = len(pool), len(probe)
    if len(np.unique(probe)) != seen or (seen and not 0 <= probe.min() <= probe.max() < size):
        raise ValueError(f"probe indices are different places of a pool of {size}, got {probe.tolist()}")
    rest = np.setdiff1d(np.arange(size), probe, assume_unique=True)
    order = np.concatenate([probe, rest])
    ballots = Ballots(pool.group[order], pool.correct[order], fixed=seen)
    draws = np.argsort(rng.random((resamples, len(rest))), axis=1)
    counted: dict[int, tuple[Bools, Floats]] = {}
    values = np.empty(len(plans))
    for place, plan in enumerate(plans):
        if not plan.is_pooled:
            raise ValueError(f"a pool replays majority, best_of_n and weighted_vote, got {plan}")
        if plan.n > size:
            raise ValueError(f"a pool holds at least n samples, got n={plan.n} and a pool of {size}")
        if plan.needs_prm and prm is None:
            raise ValueError(f"{plan.strategy} needs a PRM, got none for {plan}")
        scores = pool.score(prm, plan.score)[order] if prm is not None and plan.score is not None else None
        more = max(0, plan.n - seen)
        if plan.vote == "max" and scores is not None:
            values[place] = _best(scores, pool.readable[order], pool.correct[order], seen, more)
            continue
        if more not in counted:
            counted[more] = ballots.members(_union(draws, seen, more))
        outcomes = ballots.count_votes(*counted[more], scores, weighted=plan.vote == "weighted")
        values[place] = outcomes.correct.mean()
    return values


def _union(draws: npt.NDArray[np.int64], seen: int, more: int) -> Bools:
    """(B, N) the probe and ``more`` of the rest; one row where nothing is left to chance."""
    rest = draws.shape[1]
    rows = 1 if more in (0, rest) else len(draws)
    members = np.zeros((rows, seen + rest), dtype=np.bool_)
    members[:, :seen] = True
    np.put_along_axis(members, seen + draws[:rows, :more], True, axis=1)
    return members


def _best(scores: Floats, readable: Bools, correct: Bools, seen: int, more: int) -> float:
    """Exact: either one of the rest beats the probe's best, or the probe's best stays."""
    right = correct.astype(np.float64)
    probe = np.flatnonzero(readable[:seen])
    standing, threshold = 0.0, -np.inf
    if len(probe):
        best = probe[np.argmax(scores[probe])]
        standing, threshold = right[best], scores[best]
    if not more:
        return float(standing)
    # an equal score does not beat the probe: the earlier draw wins
    _, ranked = ranking(scores[seen:], readable[seen:] & (scores[seen:] > threshold), right[seen:])
    weights = best_weights(len(scores) - seen, more)[: len(ranked)]
    return float(weights @ ranked + max(0.0, 1.0 - weights.sum()) * standing)
