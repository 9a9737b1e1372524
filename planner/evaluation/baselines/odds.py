"""The log odds that a sample is right, from several signals at once: a regularised logistic regression.

Signals are standardised, so that the penalty is the same for all of them, and every problem counts alike,
however many samples it has. Two things can be asked of the same log. Over all problems, signals also tell how
hard a problem is, as a chance of being right must. Within problems, how hard each one is stands beside the
signals, and what is left is how they tell the right samples of one problem from its wrong ones: all that a
vote needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.strategies.adaptive.terms import Term

__all__ = ["Odds", "agreement_of_wrong", "fit_odds"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: the inverse of the penalty on slopes per standard deviation, with a weight of one for each problem
_LOOSENESS = 1.0
#: slopes per standard deviation that are left away
_SMALL = 0.02
#: samples of a problem that are learned from
_MOST = 16


@dataclass(frozen=True, slots=True)
class Odds:
    """The log odds are ``bias`` plus the sum of the terms."""

    terms: tuple[Term, ...]
    bias: float

    def scaled(self, by: float) -> Odds:
        """With all slopes so many times as steep."""
        return Odds(tuple(term._replace(slope=_short(term.slope * by)) for term in self.terms), self.bias)


def fit_odds(signals: Mapping[str, Floats], right: Floats, readable: Bools, *, within: bool) -> Odds | None:
    """Learn from the samples of a log; None where nothing can be told.

    Parameters
    ----------
    signals:
        By name, (P, D); NaN where not known.
    right:
        (P, D) how right a sample is; half or more is right.
    readable:
        (P, D) which samples count: others have no vote.
    within:
        Tell the samples of one problem apart, instead of all samples. The bias then says nothing.
    """
    from sklearn.linear_model import LogisticRegression

    counted = readable[:, :_MOST].copy()
    label = right[:, :_MOST] >= 0.5
    each = counted.sum(axis=1)
    hits = (label & counted).sum(axis=1)
    counted &= (each > 0)[:, None]
    if within:
        counted &= ((hits > 0) & (hits < each))[:, None]
    told = label[counted]
    if not told.any() or told.all():
        return None
    columns, scaling = [], {}
    for name, values in signals.items():
        seen = values[:, :_MOST][counted].astype(np.float64)
        known = seen[np.isfinite(seen)]
        spread = float(known.std()) if len(known) else 0.0
        if spread > 1e-9:
            scaling[name] = float(known.mean()), spread
            columns.append(np.where(np.isfinite(seen), (seen - scaling[name][0]) / spread, 0.0))
    if not columns:
        return None
    share = (hits + 0.5) / (each + 1.0)
    hardness = np.broadcast_to(np.log(share / (1.0 - share))[:, None], counted.shape)[counted]
    design = np.stack([*columns, hardness] if within else columns, axis=1)
    weight = np.broadcast_to(1.0 / np.maximum(each, 1)[:, None], counted.shape)[counted]
    model = LogisticRegression(C=_LOOSENESS, max_iter=200).fit(design, told, sample_weight=weight)
    found = []
    for (name, (centre, spread)), slope in zip(scaling.items(), model.coef_[0], strict=False):
        if abs(slope) >= _SMALL:
            found.append(Term(name, _short(float(slope) / spread), _short(centre)))
    return Odds(tuple(found), _short(float(model.intercept_[0]))) if found else None


def agreement_of_wrong(codes: NDArray[np.signedinteger[Any]], right: Floats) -> float:
    """How often two wrong samples of one problem give the same answer, in [0.001, 1]; 1 where no two are
    wrong.

    ``codes`` (P, D) number answers, below 0 where unreadable; ``right`` (P, D).

    >>> agreement_of_wrong(np.array([[1, 1, 2, 0, -1]]), np.array([[0.0, 0.0, 0.0, 1.0, 0.0]])).__round__(4)
    0.3333
    """
    same = pairs = 0
    for row, correct in zip(codes[:, :_MOST], right[:, :_MOST], strict=True):
        _, counts = np.unique(row[(row >= 0) & (correct < 0.5)], return_counts=True)
        total = int(counts.sum())
        same += int((counts * (counts - 1)).sum())
        pairs += total * (total - 1)
    return min(1.0, max(1e-3, same / pairs)) if pairs else 1.0


def _short(value: float) -> float:
    """Four digits: plans are read by people."""
    return float(f"{value:.4g}")
