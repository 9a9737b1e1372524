"""How good a head is, by rewards of heads that had not seen a problem's family: what ``card.json`` holds.

Everything is measured on the log's own samples. Intervals are 95% by a bootstrap over problems: what is drawn
is whole problems with all their samples, families where there are enough of them.

- AUROC within problems: the chance that a right sample of a problem outscores a wrong one of it.
- Best-of-n and the weighted vote against the majority vote and the likelihood of the policy, over all subsets
  of the samples (``search.log.subsets``), each against the vote on the same problems.
- F1 as ProcessBench has it (arXiv 2412.06559) where a checker knows each step: for the lab's families. The
  threshold is chosen on every other problem and used on the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.intervals import Interval, Resampler
from search.log.pool import Pool, PoolScores, aggregate
from search.log.subsets import derive_all
from search.plan import Plan
from search.prm_benchmarks.auroc import auroc
from search.scores import SCORES
from training.heads.head_data import Tried
from training.lab.problems import FAMILIES
from training.prm_measures import ScoredSample, process_f1, process_threshold

__all__ = ["measure_head"]

Floats = NDArray[np.float64]

#: by these names pools hold the two scores
_HEAD, _LIKELIHOOD = "head", "likelihood"
#: random subsets per pool size and n
_SUBSETS = 128
_RESAMPLES = 1000


def measure_head(tried: Sequence[Tried], rewards: Sequence[Floats], *, seed: int = 0) -> dict[str, Any]:
    """The figures.

    Parameters
    ----------
    rewards:
        Per problem those of its step ends.
    """
    pools = [_scored(one, values) for one, values in zip(tried, rewards, strict=True)]
    draw = Resampler.of_families([one.problem.family for one in tried], resamples=_RESAMPLES, seed=seed)
    return {
        "problems": len(tried),
        "samples": sum(len(pool) for pool in pools),
        "step_ends": sum(one.size for one in tried),
        "left_out_samples": int(sum((one.which < 0).sum() for one in tried)),
        "within": _within(pools, [one.problem.family for one in tried], seed),
        "calibration": _calibration(pools),
        "plans": _plans(pools, draw),
        "process_bench": _process(tried, rewards),
    }


def _scored(tried: Tried, rewards: Floats) -> Pool:
    """The pool with the head's scores and the policy's likelihood; a sample without steps scores 0."""
    chosen = [tried.nodes[which] if which >= 0 else () for which in tried.which]
    flat = np.asarray([rewards[place] for places in chosen for place in places], float)
    lengths = np.asarray([len(places) for places in chosen], np.int64)
    none = np.zeros(len(chosen), np.int64)
    scores = {_HEAD: PoolScores(MappingProxyType(aggregate(flat, lengths)), none, 0)}
    likely = np.exp(tried.pool.mean_logprob)
    if not np.isnan(likely).any():
        scores[_LIKELIHOOD] = PoolScores(MappingProxyType(dict.fromkeys(SCORES, likely)), none, 0)
    return replace(tried.pool, scores=MappingProxyType(scores))


def _within(pools: Sequence[Pool], families: Sequence[str], seed: int) -> dict[str, Any]:
    """AUROC within problems, a mean over those that have right and wrong samples."""
    kept = [place for place, pool in enumerate(pools) if pool.correct.min() < 0.5 <= pool.correct.max()]
    found: dict[str, Any] = {"problems": len(kept)}
    if not kept:
        return found
    draw = Resampler.of_families([families[place] for place in kept], resamples=_RESAMPLES, seed=seed)
    measured = [*((name, _HEAD, name) for name in SCORES), (_LIKELIHOOD, _LIKELIHOOD, "last")]
    for name, prm, score in measured:
        if all(prm in pools[place].scores for place in kept):
            each = [_auroc(pools[place], pools[place].score(prm, score)) for place in kept]
            found[name] = _told(draw.interval(np.asarray(each)))
    return found


def _auroc(pool: Pool, scores: Floats) -> float:
    right = np.asarray(pool.correct, float) >= 0.5
    return auroc(scores[right].tolist(), scores[~right].tolist())


def _calibration(pools: Sequence[Pool]) -> dict[str, float]:
    """Of the reward at the end of a solution: Brier score, and the mean gap between tenths and the truth."""
    last = np.concatenate([pool.score(_HEAD, "last") for pool in pools])
    right = np.concatenate([np.asarray(pool.correct, float) for pool in pools])
    tenth = np.minimum((last * 10).astype(int), 9)
    gap = sum(
        abs(float(last[tenth == place].mean() - right[tenth == place].mean()))
        * float((tenth == place).mean())
        for place in np.unique(tenth)
    )
    return {"brier": _rounded(float(((last - right) ** 2).mean())), "expected_error": _rounded(gap)}


def _plans(pools: Sequence[Pool], draw: Resampler) -> list[dict[str, Any]]:
    """Accuracy of each plan at n = 2, 4, 8, ..., all samples, and its difference from the vote.

    ``_over_twice``: from the vote over 2n, which costs about as much as n samples and a head's pass.
    """
    size = min(len(pool) for pool in pools)
    if size < 2:
        return []
    numbers = sorted({2**power for power in range(1, size.bit_length()) if 2**power <= size} | {size})
    rows = []
    votes = {n: _accuracy(pools, Plan.of("majority", n=n), None) for n in numbers}
    for n, vote in votes.items():
        row: dict[str, Any] = {"n": n, "majority": _told(draw.interval(vote))}
        others: Mapping[str, tuple[Plan, str]] = {
            "best_of_n": (Plan.of("best_of_n", n=n, score="last"), _HEAD),
            "weighted_vote": (Plan.of("weighted_vote", n=n, score="last"), _HEAD),
            "best_by_likelihood": (Plan.of("best_of_n", n=n, score="last"), _LIKELIHOOD),
        }
        for name, (plan, prm) in others.items():
            if all(prm in pool.scores for pool in pools):
                found = _accuracy(pools, plan, prm)
                row[name] = _told(draw.interval(found))
                row[f"{name}_over_majority"] = _told(draw.interval(found - vote))
                if prm == _HEAD and 2 * n in votes:
                    row[f"{name}_over_twice"] = _told(draw.interval(found - votes[2 * n]))
        rows.append(row)
    return rows


def _accuracy(pools: Sequence[Pool], plan: Plan, prm: str | None) -> Floats:
    return np.asarray([derive_all(pool, [plan], prm, resamples=_SUBSETS)[0].accuracy for pool in pools])


def _process(tried: Sequence[Tried], rewards: Sequence[Floats]) -> dict[str, float] | None:
    """F1 on the samples whose steps a family of the lab can check; None where there are too few."""
    halves: tuple[list[ScoredSample], list[ScoredSample]] = ([], [])
    known = [pair for pair in zip(tried, rewards, strict=True) if pair[0].problem.family in FAMILIES]
    for place, (one, values) in enumerate(known):
        correct = np.asarray(one.pool.correct, float)
        for number, steps in enumerate(one.solutions):
            exact = FAMILIES[one.problem.family].right_so_far(one.problem, steps)
            sample = ScoredSample(
                problem_id=one.problem.problem_id,
                domain=one.problem.domain,
                rewards=tuple(float(values[node]) for node in one.nodes[number]),
                exact=tuple(exact),
                correct=bool(correct[one.which == number][0] >= 0.5),
            )
            halves[place % 2].append(sample)
    if not all({all(sample.exact) for sample in half} == {True, False} for half in halves):
        return None
    threshold = process_threshold(halves[0])
    f1, wrong, right = process_f1(halves[1], threshold)
    return {
        "f1": _rounded(f1),
        "found_wrong": _rounded(wrong),
        "passed_right": _rounded(right),
        "threshold": _rounded(threshold),
        "solutions": len(halves[1]),
    }


def _told(interval: Interval) -> list[float]:
    """Value, low, high."""
    return [_rounded(interval.value), _rounded(interval.low), _rounded(interval.high)]


def _rounded(value: float) -> float:
    return round(value, 4)
