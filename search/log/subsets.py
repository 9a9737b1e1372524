"""One pool, every n: what a sampling plan would have given, from the N i.i.d. samples of a pool.

Every plan's accuracy is a U-statistic: the mean, over all n-subsets of the pool without
replacement, of whether the subset's answer is right. Exact closed forms are used where they exist:

- ``pass_at_k``: Chen et al. 2021 (arXiv 2107.03374), equation 1;
- ``best_of_n``: with readable samples ranked by score, the sample of rank r (from 0) is the
  best of a random n-subset with probability C(N-1-r, n-1) / C(N, n);
- ``majority`` at n = 1 (the mean), and every vote at n = N (one subset).

Other votes are averaged over seeded random subsets. All pools of one size share the same subsets:
pools are independent draws, so errors of different problems stay independent all the same.
The last tie-break of a vote is the earlier draw, and draws are exchangeable: among tied answers the first
drawn sample belongs to each with a probability in proportion to its count, and among equal scores the mean
counts. An answer is as right as the share of its samples that are.

Standard errors are those of the U-statistic over new pools, by the jackknife: the estimate without
sample i is the mean over the subsets that do not hold i. It is conservative (Efron & Stein 1981),
corrected for the noise of finitely many subsets (Wager, Hastie & Efron 2014, arXiv 1311.4555,
equation 7), and never above the bound (n/N) Var(one subset) of Hoeffding (1948). A pool that
agrees with itself on every subset has standard error 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from search.log.pool import Pool
from search.plan import Plan
from search.voting.votes import Ballots

__all__ = [
    "RESAMPLES",
    "Derived",
    "best_weights",
    "derive",
    "derive_all",
    "pass_at_k",
    "ranking",
    "subset_members",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: random subsets per pool size and n
RESAMPLES = 512


@dataclass(frozen=True, slots=True)
class Derived:
    """What a pool says of one plan: accuracy in [0, 1], its standard error, and the mean score of
    the chosen candidate (NaN without a PRM, or when no subset has a readable answer)."""

    accuracy: float
    accuracy_se: float
    reward: float


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The probability that k of ``samples`` draws without replacement hold a right one.

    >>> round(pass_at_k(4, 1, 2), 3)
    0.5
    """
    if not 1 <= k <= samples:
        raise ValueError(f"k must be from 1 to the number of samples, got k={k}, samples={samples}")
    if samples - right < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(samples - right + 1, samples + 1)))


def derive(
    pool: Pool, plan: Plan, prm: str | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Derived:
    """What ``plan`` gives on average over n-subsets of ``pool``.

    Raises ValueError for plans that a pool cannot replay (tree searches, ``cot``) and for n > N;
    LogError when the PRM has not scored the pool.
    """
    return derive_all(pool, [plan], prm, resamples=resamples, seed=seed)[0]


def derive_all(
    pool: Pool, plans: list[Plan], prm: str | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Derived]:
    """``derive`` for many plans of one PRM: subsets of one size are counted together."""
    counted: dict[int, tuple[Bools, Ints, Ballots]] = {}
    results = []
    for plan in plans:
        _check(pool, plan)
        scores = pool.score(prm, plan.score) if plan.score is not None and prm is not None else None
        if plan.needs_prm and scores is None:
            raise ValueError(f"{plan.strategy} needs a PRM, got none for {plan}")
        if plan.vote == "max" or plan.n == 1:
            # one sample is its own best and its own majority, so rank forms are exact for every vote
            results.append(_best_of_n(pool, plan.n, scores))
            continue
        if plan.n not in counted:
            membership = subset_members(len(pool), plan.n, resamples, seed)
            members = _drawn(len(pool), plan.n, resamples, seed)
            counted[plan.n] = membership, members, Ballots(pool.group[members])
        membership, members, ballots = counted[plan.n]
        correct, reward = _voted(pool, ballots, members, scores, plan.vote)
        known = reward[~np.isnan(reward)]
        results.append(
            Derived(
                float(correct.mean()),
                _vote_se(correct, membership, plan.n),
                float(known.mean()) if len(known) else float("nan"),
            )
        )
    return results


@lru_cache(maxsize=64)
def subset_members(size: int, n: int, resamples: int, seed: int) -> Bools:
    """(B, N) random n-subsets without replacement; one row of ones for n = N.

    >>> subset_members(5, 2, 3, seed=0).sum(axis=1).tolist()
    [2, 2, 2]
    """
    if n == size:
        members = np.ones((1, size), dtype=np.bool_)
    else:
        keys = np.random.default_rng([seed, size]).random((resamples, size))
        members = np.zeros((resamples, size), dtype=np.bool_)
        np.put_along_axis(members, np.argsort(keys, axis=1)[:, :n], True, axis=1)
    members.setflags(write=False)
    return members


@lru_cache(maxsize=64)
def _drawn(size: int, n: int, resamples: int, seed: int) -> Ints:
    """(B, n) places of the members of each subset."""
    membership = subset_members(size, n, resamples, seed)
    return np.nonzero(membership)[1].reshape(len(membership), n)


@lru_cache(maxsize=1024)
def best_weights(size: int, n: int) -> Floats:
    """(N,) probability that the sample of rank r is the best of a random n-subset.

    Zeros beyond rank N - n. They sum to 1.

    >>> best_weights(4, 2).round(3).tolist()
    [0.5, 0.333, 0.167, 0.0]
    """
    ranks = np.arange(size - 1)
    steps = np.maximum(size - n - ranks, 0) / np.maximum(size - 1 - ranks, 1)
    weights = np.cumprod(np.r_[n / size, steps], dtype=np.float64)
    weights.setflags(write=False)
    return weights


def ranking(scores: Floats, readable: Bools, values: Floats) -> tuple[Ints, Floats]:
    """Readable samples from the highest score down, and their values, averaged over equal scores."""
    places = np.flatnonzero(readable)
    order = places[np.argsort(-scores[places], kind="stable")]
    ranked = values[order]
    if len(order) > 1:
        sorted_scores = scores[order]
        starts = np.flatnonzero(np.r_[True, sorted_scores[1:] != sorted_scores[:-1]])
        if len(starts) < len(order):
            sizes = np.diff(np.r_[starts, len(order)])
            ranked = np.repeat(np.add.reduceat(ranked, starts) / sizes, sizes)
    return order, ranked


def _voted(
    pool: Pool, ballots: Ballots, members: Ints, scores: Floats | None, vote: str
) -> tuple[Floats, Floats]:
    """Of each subset (B, n): how right its answer is expected to be (where none can be read, what a sample is
    by its own verdict), and the score of the draw that speaks for it (NaN where none does, or without)."""
    mine = None if scores is None else scores[members]
    counts, codes = ballots.counts, pool.group[members]
    leader, sure = ballots.leaders(mine, vote)
    share = np.zeros(counts.shape)
    share[np.flatnonzero(sure), leader[sure]] = 1.0
    speaking = codes == leader[:, None]
    level = np.flatnonzero(~sure)
    if len(level):
        among = Ballots(codes[level])
        speaking[level] = among.speaking(None if mine is None else mine[level], vote)
        drawn = np.where(among.given(speaking[level]), among.counts, 0.0)
        share[level, : drawn.shape[1]] = drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1.0)
    any_vote = speaking.any(axis=1)
    read = pool.group >= 0
    sizes = np.bincount(pool.group[read], minlength=counts.shape[1])
    agreed = np.bincount(pool.group[read], pool.correct[read], minlength=counts.shape[1])
    correct = np.full(len(members), pool.correct[~read].mean() if not read.all() else 0.0)
    # groups that no subset holds have no column
    right = (agreed / np.maximum(sizes, 1))[: counts.shape[1]]
    correct[any_vote] = share[any_vote] @ right
    if mine is None:
        return correct, np.full(len(members), np.nan)
    best = np.where(speaking, mine, -np.inf).max(axis=1)
    return correct, np.where(any_vote, best, np.nan)


def _best_of_n(pool: Pool, n: int, scores: Floats | None) -> Derived:
    size = len(pool)
    by = np.zeros(size) if scores is None else scores
    right = pool.correct.astype(np.float64)
    order, ranked = ranking(by, pool.readable, right)
    weights = best_weights(size, n)[: len(order)]
    answered = float(weights.sum())
    reward = float(weights @ by[order]) / answered if scores is not None and answered > 0 else float("nan")
    drawn = right[order]
    unread = right[~pool.readable]
    if unread.any():
        # what cannot be read ranks last, but keeps the verdict that its record gave
        weights = best_weights(size, n)
        ranked = np.r_[ranked, np.full(len(unread), unread.mean())]
        drawn = np.r_[drawn, unread]
    accuracy = float(weights @ ranked)
    return Derived(accuracy, _rank_se(drawn, size, n, accuracy), reward)


def _rank_se(ranked: Floats, size: int, n: int, accuracy: float) -> float:
    """The jackknife in closed form: deleting rank k moves every later rank up by one.

    ``ranked`` are the values as drawn: means over equal scores would hide their spread.
    """
    bound = _bound(accuracy, size, n)
    if n == size:
        return float(np.sqrt(bound))
    weights = best_weights(size - 1, n)
    count = len(ranked)
    same = np.r_[0.0, np.cumsum(weights[: count - 1] * ranked[: count - 1])] if count else np.zeros(0)
    moved = np.r_[0.0, np.cumsum((ranked[1:] * weights[: count - 1])[::-1])][::-1] if count else np.zeros(0)
    without = same + moved
    unreadable = size - count
    # one that cannot be read is never the best: without it all readable keep their ranks
    kept = min(count, size - 1)
    other = float(weights[:kept] @ ranked[:kept])
    mean = (without.sum() + unreadable * other) / size
    variance = (size - 1) / size * (((without - mean) ** 2).sum() + unreadable * (other - mean) ** 2)
    return float(np.sqrt(min(variance, bound)))


def _vote_se(correct: Floats, membership: Bools, n: int) -> float:
    rows, size = membership.shape
    accuracy = float(correct.mean())
    bound = _bound(accuracy, size, n)
    if n == size:
        return float(np.sqrt(bound))
    spread = float(correct.var())
    outside = rows - membership.sum(axis=0)
    without = (correct.sum() - correct @ membership) / np.maximum(outside, 1)
    variance = (size - 1) / size * float(((without - accuracy) ** 2).sum())
    noise = (size - 1) * spread * n / ((size - n) * rows)
    return float(np.sqrt(min(max(variance - noise, 0.0), bound) + spread / rows))


def _bound(accuracy: float, size: int, n: int) -> float:
    """(n/N) Var(one subset), its mean shrunk by half a success and half a failure."""
    subsets = size / n
    mean = (accuracy * subsets + 0.5) / (subsets + 1.0)
    return mean * (1.0 - mean) / subsets


def _check(pool: Pool, plan: Plan) -> None:
    if not plan.is_pooled:
        raise ValueError(f"a pool replays majority, best_of_n and weighted_vote, got {plan}")
    if plan.n > len(pool):
        raise ValueError(
            f"a pool holds at least n samples, got n={plan.n} and {len(pool)} for {pool.problem_id!r}"
        )
