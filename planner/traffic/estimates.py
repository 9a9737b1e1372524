"""What a planner that was never live would have met: estimates from logged decisions. Pure numbers.

A decision goes through stages. W_t is the product, over the stages up to t, of whether the new planner takes
the logged step, over the probability with which it was taken. Two estimates of the mean of an outcome:

- SNIPS, self-normalised inverse propensity scoring: sum(W r) / sum(W) with W of the last stage (Swaminathan
  and Joachims 2015);
- doubly robust: the mean of V_0 + sum over stages of W_t (r_t + V_(t+1) - V_t), where V_t is what the new
  planner expects at stage t and 0 after the last one (Dudik, Langford and Li 2011; in stages Jiang and Li
  2016, with Q(s_t, a_t) = V_t since the new planner takes one step for sure). It is right where the
  propensities are, or where what is expected is.

Weights are clipped at the square root of the number of decisions (Ionides 2008): the bias of that vanishes
as decisions grow in number, and no decision counts for more than 1 / sqrt(n) of them. Where the outcome is
known of some decisions only, a known one stands for 1 / p of them, p its probability of being known. Errors
are clustered: decisions on one question count as one draw (Liang and Zeger 1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "Staged", "clip_of", "doubly_robust", "effective_size", "mean", "snips", "terms"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the ends of its 95% interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, error: float, freedom: float) -> Estimate:
        """Student's t with so many degrees of freedom around ``value``."""
        from scipy.special import stdtrit

        half = float(stdtrit(max(1.0, freedom), 0.975)) * error
        return cls(value, value - half, value + half)

    def within(self, low: float, high: float) -> Estimate:
        """The same cut to a range."""
        return Estimate(*(min(high, max(low, one)) for one in (self.value, self.low, self.high)))

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Logged decisions as an outcome's estimate takes them: N rows, T stages.

    Parameters
    ----------
    weights:
        (N, T) W_t, of a decision that ended earlier its last one.
    expected:
        (N, T) V_t; 0 beyond the end.
    rewards:
        (N, T) r_t; 0 beyond the end, and where the outcome is not known.
    last:
        (N,) the place of each decision's last stage.
    known:
        (N,) 1 / p where the outcome is known and 0 where not; None: all are known.
    clusters:
        (N,) equal numbers are drawn together.
    """

    weights: Floats
    expected: Floats
    rewards: Floats
    last: Ints
    clusters: Ints
    known: Floats | None = None

    @property
    def final(self) -> Floats:
        """(N,) the weight of each decision as a whole, that it is known counted in."""
        weight = self.weights[np.arange(len(self.last)), self.last]
        return weight if self.known is None else weight * self.known


def clip_of(decisions: int) -> float:
    """The largest weight: the square root of the number of decisions."""
    return math.sqrt(max(1, decisions))


def effective_size(weights: Floats, clusters: Ints) -> float:
    """How many equal draws would say as much: sum(w)^2 / sum(w^2), clusters (N,) counting as one draw.

    Of Kish 1965. 0 where no weight is above 0.

    >>> effective_size(np.array([1.0, 1.0, 2.0]), np.array([0, 1, 1]))
    1.6
    """
    sums = _sums(weights, clusters)
    total = float((sums**2).sum())
    return float(sums.sum()) ** 2 / total if total > 0.0 else 0.0


def terms(rows: Staged, clip: float) -> Floats:
    """(N,) what each decision adds to the doubly robust mean."""
    count, stages = rows.weights.shape
    weights = np.minimum(rows.weights, clip)
    after = np.concatenate([rows.expected[:, 1:], np.zeros((count, 1))], axis=1)
    # a stage beyond the end has no reward and expects nothing
    gained = rows.rewards + after - rows.expected
    if rows.known is not None:
        is_last = np.arange(stages)[None] == rows.last[:, None]
        gained = np.where(is_last, gained * rows.known[:, None], gained)
    there = np.arange(stages)[None] <= rows.last[:, None]
    return np.asarray(rows.expected[:, 0] + np.where(there, weights * gained, 0.0).sum(axis=1))


def doubly_robust(rows: Staged, clip: float) -> Estimate:
    """The mean outcome of the new planner, doubly robust."""
    freedom = effective_size(rows.final, rows.clusters) - 1.0
    return mean(terms(rows, clip), rows.clusters, freedom, rows.final)


def mean(
    values: Floats, clusters: Ints, freedom: float = math.inf, weights: Floats | None = None
) -> Estimate:
    """The mean of values (N,), clusters drawn whole.

    ``weights`` (N,), where values lean on some decisions more than on others: a cluster that holds a share h
    of them counts in the error for 1 / (1 - h) of itself, as if the mean were made without it (MacKinnon and
    White 1985).
    """
    at = float(values.mean())
    apart = _sums(values - at, clusters)
    draws = len(apart)
    if weights is None:
        apart *= math.sqrt(draws / (draws - 1.0)) if draws > 1 else 1.0
    else:
        apart /= _without(weights, clusters)
    error = math.sqrt(float((apart**2).sum())) / len(values)
    return Estimate.of(at, error, min(freedom, draws - 1.0))


def snips(rows: Staged, clip: float) -> Estimate:
    """The mean outcome of the new planner, self-normalised."""
    place = np.arange(len(rows.last))
    weight = np.minimum(rows.weights[place, rows.last], clip)
    if rows.known is not None:
        weight = weight * rows.known
    total, outcome = float(weight.sum()), rows.rewards.sum(axis=1)
    if total <= 0.0:
        return Estimate(math.nan, math.nan, math.nan)
    at = float(weight @ outcome) / total
    apart = _sums(weight * (outcome - at), rows.clusters) / _without(weight, rows.clusters)
    error = math.sqrt(float((apart**2).sum())) / total
    return Estimate.of(at, error, effective_size(weight, rows.clusters) - 1.0)


def _without(weights: Floats, clusters: Ints) -> Floats:
    """(clusters,) the share of the weights that is not the cluster's own, at least a hundredth."""
    sums = _sums(weights, clusters)
    return np.maximum(1.0 - sums / max(float(sums.sum()), 1e-300), 0.01)


def _sums(values: Floats, clusters: Ints) -> Floats:
    """(clusters,) sums of values (N,)."""
    sums = np.bincount(np.unique(clusters, return_inverse=True)[1], weights=values)
    return np.asarray(sums, np.float64)
