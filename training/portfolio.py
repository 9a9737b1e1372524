"""The safe portfolio: what was learned decides only at prices where it is surely better than a rule.

The rule at a price is the choice that training folds find best on average there, among all plans of the log
and those that anybody could write (``planner.rules``). Both are followed on problems whose fold was left out.
At a price the learned decisions are trusted where their utility, accuracy less the price of compute, exceeds
the rule's by one standard error, families drawn whole; a study of few problems picks a lucky design more
easily, so that it takes two there. Neighbouring prices are judged together, and a gain of less than a tenth
of a point is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.decision import Rule, Trust, decide
from planner.evaluation.intervals import clustered_error
from planner.replay import ReplayOutcome, follow
from training.bins import Bins
from training.crossfit import Chain, StageFit

__all__ = ["Portfolio", "follow_rule", "portfolio", "sure_prices"]

Floats = NDArray[np.float64]

#: from so many problems on, one standard error is enough
_MANY = 300
#: a gain below this, a tenth of a point, is not worth leaving a rule for
_VISIBLE = 0.001


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What decides at each price, and what that met on problems whose fold was left out, (P, J) each."""

    trust: Trust
    rule: ReplayOutcome
    met: ReplayOutcome


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
    rule = follow_rule(chain.fits[0], lengths, bins, chain.prices)
    gained = chain.utility - (rule.accuracy - chain.prices * rule.flops)
    sure = sure_prices(gained, families, 1.0 if len(gained) >= _MANY else 2.0)
    parts = zip(
        (chain.accuracy, chain.tokens, chain.flops), (rule.accuracy, rule.tokens, rule.flops), strict=True
    )
    met = ReplayOutcome(*(np.where(sure, learned, plain) for learned, plain in parts))
    return Portfolio(Trust(chain.prices, sure), rule, met)


def follow_rule(fit: StageFit, lengths: Floats, bins: Bins, prices: Floats) -> ReplayOutcome:
    """(P, J) what the choice that the other folds find best on average meets at each price."""
    matrix, actions = fit.matrix, fit.actions
    columns = np.empty_like(fit.targets)
    for fold in bins.names:
        out, rest = bins.split(matrix, fold)
        columns[out] = fit.targets[rest].mean(axis=0)
    menu = actions.menu(
        level=np.zeros(len(matrix.problem)), columns=columns, lengths=lengths, characters=matrix.characters
    )
    alone = replace(menu, probe=None)  # a rule looks at nothing first
    return follow(matrix, [decide(alone, Rule(price=float(price))) for price in prices], None)


def sure_prices(gained: Floats, families: Sequence[str], errors: float) -> NDArray[np.bool_]:
    """(J,) whether the mean gain (P, J), each price with its neighbours, exceeds so many standard errors."""
    near = np.pad(gained, ((0, 0), (1, 1)), mode="edge")
    smooth = (near[:, :-2] + near[:, 1:-1] + near[:, 2:]) / 3.0
    mean = smooth.mean(axis=0)
    return np.asarray((mean > errors * clustered_error(smooth, families)) & (mean > _VISIBLE))
