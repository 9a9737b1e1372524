"""The two headline figures of arXiv 2502.06703 for every policy and PRM: how much better than one greedy
answer, and how many times the compute a majority vote would need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.fixed import sizes, votes
from planner.evaluation.compute_to_target import least
from planner.evaluation.intervals import Interval, Resampler
from planner.evaluation.overhead import with_overhead
from planner.evaluation.restricted_planner import restricted
from planner.planner import Planner

__all__ = ["DEFINITIONS", "Headline", "compared_curves", "geometric_mean", "headlines"]

Floats = NDArray[np.float64]

#: what the figures mean, printed beside them
DEFINITIONS = (
    "Gain: accuracy of the planner, confined to the policy and the PRM and asked for accuracy alone, over "
    "that of one greedy answer, less 1.",
    "Multiple: the least compute at which a vote over any n samples of the policy's pool is as accurate as "
    "the planner, over the planner's, at the least compute where the planner is no less accurate than the "
    "best vote (where it never is: at its own best). '>': no vote gets there, the largest is counted.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One policy x PRM; ``low`` and ``high`` are of ``multiple_over_majority``.

    The gain is NaN where no greedy answer was logged.

    Parameters
    ----------
    censored:
        No vote is as accurate: the multiple is a lower bound.
    accuracy, flops:
        Where the multiple was read: the planner's accuracy there, and what it needs for it.
    at_best, at_best_censored:
        The multiple at the planner's own best accuracy, and whether it is a lower bound.
    """

    policy: str
    prm: str | None
    gain_over_cot_percent: float
    multiple_over_majority: float
    censored: bool
    low: float
    high: float
    gain_low: float
    gain_high: float
    accuracy: float
    flops: float
    at_best: float
    at_best_censored: bool


def headlines(
    planner: Planner, context: BaselineContext, resampler: Resampler
) -> tuple[tuple[Headline, ...], tuple[Floats, ...]]:
    """Every policy x PRM that planner and log know, and the resampled multiples (resamples,) of each.

    A cell in which the planner has no plan is left out.
    """
    cells, drawn = [], []
    for policy in context.policies:
        known = [prm for prm in context.data.pools[policy].prms if prm in planner.prms]
        for prm in (*known, *(() if known else (None,))):
            found = _cell(planner, context, resampler, policy, prm) if policy in planner.policies else None
            if found is not None:
                cells.append(found[0])
                drawn.append(found[1])
    return tuple(cells), tuple(drawn)


def geometric_mean(cells: tuple[Headline, ...], drawn: tuple[Floats, ...]) -> Interval:
    """Of the multiples over all cells, lower bounds as they are; NaN without any cell."""
    if not cells:
        return Interval(float("nan"), float("nan"), float("nan"))
    value = float(np.exp(np.mean([np.log(cell.multiple_over_majority) for cell in cells])))
    low, high = np.quantile(np.exp(np.mean(np.log(drawn), axis=0)), [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _cell(
    planner: Planner, context: BaselineContext, resampler: Resampler, policy: str, prm: str | None
) -> tuple[Headline, Floats] | None:
    stages = restricted(planner.stages, policy, prm)
    if not stages:
        return None
    done = replay(stages, context.test, [Rule(price=float(price)) for price in context.prices])  # type: ignore[arg-type]
    flops = with_overhead(done, context.test)
    table = votes(context, policy, sizes(context.data.pools[policy].draws), context.test)

    def curves(mean: Resampler | None) -> tuple[Floats, Floats, Floats, Floats]:
        parts = (done.met.accuracy, flops, table.values, table.flops)
        one, two, three, four = (
            part.mean(axis=0)[None] if mean is None else mean.means(part) for part in parts
        )
        return one, two, three, four

    point, many = compared_curves(*curves(None)), compared_curves(*curves(resampler))
    low, high = np.quantile(many.value, [0.025, 0.975])
    gain = _gain(context, resampler, policy, done.met.accuracy[:, 0])
    return (
        Headline(
            policy=policy,
            prm=prm,
            gain_over_cot_percent=gain.value,
            multiple_over_majority=float(point.value[0]),
            censored=bool(point.censored[0]),
            low=float(low),
            high=float(high),
            gain_low=gain.low,
            gain_high=gain.high,
            accuracy=float(point.accuracy[0]),
            flops=float(point.flops[0]),
            at_best=float(point.at_best[0]),
            at_best_censored=bool(point.at_best_censored[0]),
        ),
        many.value,
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Compared:
    value: Floats
    censored: NDArray[np.bool_]
    accuracy: Floats
    flops: Floats
    at_best: Floats
    at_best_censored: NDArray[np.bool_]


def compared_curves(ours: Floats, flops: Floats, theirs: Floats, paid: Floats) -> _Compared:
    """Curves (N, J) of the planner and (N, n) of the votes -> figures (N,) as ``DEFINITIONS`` has them."""
    best, vote = ours.max(axis=1), theirs.max(axis=1)
    first = np.take_along_axis(ours, flops.argmin(axis=1)[:, None], 1)[:, 0]
    # the cheapest setting may be above every vote already: then the accuracy is that setting's
    asked = np.maximum(np.minimum(best, vote), np.where(first > vote, first, -np.inf))
    needed = least(ours, flops, asked)

    def over(target: Floats, mine: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        other = least(theirs, paid, target)
        never = ~np.isfinite(other)
        return np.where(never, paid.max(axis=1), other) / mine, never

    value, censored = over(asked, needed)
    at_best, at_best_censored = over(best, least(ours, flops, best))
    return _Compared(
        value=value,
        censored=censored,
        accuracy=asked,
        flops=needed,
        at_best=at_best,
        at_best_censored=at_best_censored,
    )


def _gain(context: BaselineContext, resampler: Resampler, policy: str, ours: Floats) -> Interval:
    """In percent, of the planner's most accurate setting over one greedy answer."""
    code = context.data.pools[policy].greedy_code
    if code is None:
        return Interval(float("nan"), float("nan"), float("nan"))
    cot = context.data.graded(code).astype(np.float64)
    closed = resampler.ratio(ours - cot, cot)
    return Interval(100.0 * closed.value, 100.0 * closed.low, 100.0 * closed.high)
