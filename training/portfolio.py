"""The safe portfolio: what was learned decides only at prices where it is surely better than a rule.

A rule takes the choice that is best on average at a price, among all plans of the log and those that anybody
could write (``planner.evaluation.baselines.rules``). The average goes over all problems of the training
folds, or, where that is surely better, over those whose questions are most like this one
(``planner.predicting.neighbours``). Everything is followed on problems whose fold was left out. At a price
the learned decisions are trusted where their utility, accuracy less the price of compute, exceeds the rule's
by one standard error, families drawn whole; a study of few problems picks a lucky design more easily, so that
it takes two there. With fewer than ``ENOUGH_PROBLEMS`` a rule decides everywhere. Neighbouring prices are
judged together, and a gain of less than a tenth of a point is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Rule, Trust, decide
from planner.deciding.replay import ReplayOutcome, follow
from planner.evaluation.intervals import clustered_error
from planner.predicting.neighbours import COUNTS, MOST_KEPT, Likeness, Neighbours
from training.bins import Bins
from training.crossfit import Chain, StageFit
from training.design import ENOUGH_PROBLEMS

__all__ = ["Followed", "Portfolio", "errors_of", "portfolio", "sure_prices"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: from so many problems on, one standard error is enough
_MANY = 300
#: a gain below this, a tenth of a point, is not worth leaving a rule for
_VISIBLE = 0.001
#: problems on which the number of neighbours is picked
TRIED = 2048


@dataclass(frozen=True, slots=True)
class Followed:
    """What decides at each price, and what that and the rule met on problems whose fold was left out, (P, J)
    each."""

    trust: Trust
    rule: ReplayOutcome
    met: ReplayOutcome


@dataclass(frozen=True, slots=True)
class Portfolio(Followed):
    """With ``average`` and ``near`` (P, C + J), the means that a rule goes by, over the other folds."""

    neighbours: Neighbours | None
    average: Floats
    near: Floats


def portfolio(chain: Chain, lengths: Floats, bins: Bins, families: Sequence[str]) -> Portfolio:
    """Judge a chain against the rule of its first stage.

    Parameters
    ----------
    chain:
        Decisions of problems whose fold was left out.
    lengths:
        (P, policies) predicted lengths of a sample at the question.
    bins, families:
        The folds of that, and the family of each problem.
    """
    fit, prices = chain.fits[0], chain.prices
    errors = errors_of(len(families))
    overall = _all_means(fit, bins)
    average = _follow_means(fit, overall, lengths, prices)
    count, nearest = _near_means(fit, bins, lengths, prices)
    near = _follow_means(fit, nearest, lengths, prices)
    gained = near.utility(prices) - average.utility(prices)
    nearer = sure_prices(gained, families, errors)
    # likeness tells something at all prices or at none: one price alone may be luck
    nearer &= sure_prices(gained.mean(axis=1, keepdims=True), families, errors)
    rule = near.where(nearer, average)
    learned = ReplayOutcome(chain.accuracy, chain.tokens, chain.flops)
    sure = sure_prices(learned.utility(prices) - rule.utility(prices), families, errors)
    nearer &= ~sure
    matrix = fit.matrix
    neighbours = None
    if nearer.any():
        kept = _kept(np.arange(len(matrix.features)))
        values = fit.targets[kept, : len(matrix.choices)]
        neighbours = Neighbours(Likeness.of(matrix.features[kept]), values, min(count, len(kept)))
    return Portfolio(
        trust=Trust(prices, sure, nearer),
        neighbours=neighbours,
        average=overall,
        near=nearest,
        rule=rule,
        met=learned.where(sure, rule),
    )


def _all_means(fit: StageFit, bins: Bins) -> Floats:
    """(P, C + J) means of the targets over the other folds."""
    means = np.empty_like(fit.targets)
    for fold in bins.names:
        out, rest = bins.split(fit.matrix, fold)
        means[out] = fit.targets[rest].mean(axis=0)
    return means


def _near_means(fit: StageFit, bins: Bins, lengths: Floats, prices: Floats) -> tuple[int, Floats]:
    """How many neighbours are best over all prices, and (P, C + J) means of the targets over so many in the
    other folds."""
    matrix, targets = fit.matrix, fit.targets
    tried = np.random.default_rng(0).permutation(len(targets))[:TRIED]
    counts = [count for count in COUNTS if count <= len(targets) // 2] or [1]
    tried.sort()
    many = np.zeros((len(counts), len(tried), targets.shape[1]))
    means = np.empty_like(targets)
    among = {}
    for fold in bins.names:
        out, rest = bins.split(matrix, fold)
        rest = _kept(rest)
        among[fold] = out, rest, Likeness.of(matrix.features[rest])
        asked = np.flatnonzero(np.isin(tried, out))
        found = among[fold][2].nearest(matrix.features[tried[asked]], counts[-1])
        for row, near in zip(asked, found, strict=True):
            sums = targets[rest[near]].cumsum(axis=0)
            for place, count in enumerate(counts):
                here = min(count, len(near))
                many[place, row] = sums[here - 1] / here
    part = replace(fit, matrix=matrix.at(tried))
    met = [_follow_means(part, columns, lengths[tried], prices).utility(prices).mean() for columns in many]
    best = max(range(len(counts)), key=lambda place: (met[place], place))  # of equals the most
    if len(tried) == len(targets):
        return counts[best], many[best]
    for out, rest, likeness in among.values():
        fewer = min(counts[best], len(rest))
        means[out] = Neighbours(likeness, targets[rest], fewer).mean(matrix.features[out])
    return counts[best], means


def _follow_means(fit: StageFit, means: Floats, lengths: Floats, prices: Floats) -> ReplayOutcome:
    """(P, J) what the choice that these means (P, C + J) find best meets at each price."""
    matrix = fit.matrix
    menu = fit.actions.menu(
        level=np.zeros(len(matrix.problem)), columns=means, lengths=lengths, characters=matrix.characters
    )
    alone = replace(menu, probe=None)  # a rule looks at nothing first
    return follow(matrix, [decide(alone, Rule(price=float(price))) for price in prices], None)


def _kept(rows: Ints) -> Ints:
    """``MOST_KEPT`` of the rows, spread evenly."""
    if len(rows) <= MOST_KEPT:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_KEPT).round().astype(np.int64)]


def errors_of(problems: int) -> float:
    """How many standard errors a gain takes with so many problems; infinity: nothing is sure enough."""
    if problems < ENOUGH_PROBLEMS:
        return math.inf
    return 1.0 if problems >= _MANY else 2.0


def sure_prices(gained: Floats, families: Sequence[str], errors: float) -> NDArray[np.bool_]:
    """(J,) whether the mean gain (P, J), each price with its neighbours, exceeds so many standard errors."""
    if math.isinf(errors):
        return np.zeros(gained.shape[1], np.bool_)
    near = np.pad(gained, ((0, 0), (1, 1)), mode="edge")
    smooth = (near[:, :-2] + near[:, 1:-1] + near[:, 2:]) / 3.0
    mean = smooth.mean(axis=0)
    return np.asarray((mean > errors * clustered_error(smooth, families)) & (mean > _VISIBLE))
