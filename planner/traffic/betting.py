"""Tests of a mean that may be looked at after every observation: by betting, always valid.

A gambler begins with 1 and bets at each observation that the mean lies above m. Where it does not, the
capital is a supermartingale, so it ever reaches 1 / a with a chance of at most a, however often one looks and
whenever one stops (Ville). The values of m against which no bet has won so much are a confidence sequence.

The bets are constant shares of the capital, a dozen of them, each with its own part of the capital at the
beginning (a mixture). Betting (Waudby-Smith and Ramdas 2024, arXiv 2010.09686) was taken over the empirical
Bernstein sequences of Howard et al. (arXiv 1810.08240): where one arm gets few of the requests an observation
reaches far further than it spreads, and bets adapt to the spread. Constant bets, and not plug-in ones, make
the present interval a function of sums over all observations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BETS", "Verdict", "bet_on_mean", "log_capital"]

Floats = NDArray[np.float64]

#: shares of the capital that are bet, of the most that cannot ruin
BETS = tuple(0.9 * 0.5**k for k in range(12))
#: observations that are held in memory for each bet
_BLOCK = 50_000
#: how closely an end of the sequence is found, of its distance from the mean
_NEAR = 0.02


@dataclass(frozen=True, slots=True)
class Verdict:
    """What observations say of a mean.

    Parameters
    ----------
    observations:
        N.
    value, low, high:
        The weighted mean, and the ends of the confidence sequence now.
    above, below:
        After how many observations the mean was first surely above 0, or below; None where it was not yet.
    alpha:
        The chance that any of this is ever wrong, half of it on each side.
    """

    observations: int
    value: float
    low: float
    high: float
    above: int | None
    below: int | None
    alpha: float

    @property
    def is_above(self) -> bool:
        """Whether the mean is surely above 0: it was found so, and not the contrary before."""
        return self.above is not None and (self.below is None or self.above < self.below)

    @property
    def is_below(self) -> bool:
        """Whether the mean is surely below 0."""
        return self.below is not None and not self.is_above


def bet_on_mean(
    gains: Floats, scales: Floats, *, reach: float, most: float = 1.0, alpha: float = 0.05
) -> Verdict:
    """Test whether a mean is above or below 0, and where it lies.

    Parameters
    ----------
    gains:
        (N,) observations, in the order in which they became known. The mean of each, given those before, is
        its scale times the mean that is asked about.
    scales:
        (N,) above 0, known before each observation; at most 1.
    reach:
        No gain is further from 0.
    most:
        No mean that is asked about is further from 0.
    """
    if len(gains) != len(scales):
        raise ValueError(f"each gain has a scale, got {len(gains)} gains and {len(scales)} scales")
    if len(gains) and float(np.abs(gains).max()) > reach * (1.0 + 1e-9):
        raise ValueError(f"gains reach at most {reach:g}, got {float(np.abs(gains).max()):g}")
    size = np.array(BETS) / (reach + most)
    goal = math.log(2.0 / alpha)
    above, below = (_first(sign * gains, size, goal) for sign in (1.0, -1.0))
    if not len(gains):
        return Verdict(0, 0.0, -most, most, None, None, alpha)
    value = float(np.clip(gains.sum() / scales.sum(), -most, most))
    low = _end(gains, scales, size, goal, value, -most)
    high = -_end(-gains, scales, size, goal, -value, -most)
    return Verdict(len(gains), value, low, high, above, below, alpha)


def log_capital(gains: Floats, size: Floats) -> Floats:
    """(N,) logarithm of the capital after each observation, of equal parts bet at each size (J,)."""
    out = np.empty(len(gains))
    reached = np.zeros(len(size))
    for begin in range(0, len(gains), _BLOCK):
        part = gains[begin : begin + _BLOCK]
        paths = reached + np.cumsum(np.log1p(part[:, None] * size), axis=0)
        out[begin : begin + len(part)] = _mixed(paths)
        reached = paths[-1]
    return out


def _mixed(logs: Floats) -> Floats:
    """(...,) logarithm of the mean of capitals (..., J) that are given as logarithms."""
    top = logs.max(axis=-1)
    return np.asarray(top + np.log(np.exp(logs - top[..., None]).mean(axis=-1)))


def _first(gains: Floats, size: Floats, goal: float) -> int | None:
    """After how many observations the capital first reaches the goal."""
    there = np.flatnonzero(log_capital(gains, size) >= goal)
    return int(there[0]) + 1 if len(there) else None


def _end(gains: Floats, scales: Floats, size: Floats, goal: float, inside: float, outside: float) -> float:
    """The smallest mean between ``outside`` and ``inside`` that is not refused: by halving."""

    def refused(mean: float) -> bool:
        total = np.zeros(len(size))
        for begin in range(0, len(gains), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            total += np.log1p((gains[rows] - scales[rows] * mean)[:, None] * size).sum(axis=0)
        return bool(_mixed(total) >= goal)

    # a step of about three standard errors, doubled until it goes beyond the end
    step = max(3.0 * float(np.sqrt((gains**2).sum())) / float(scales.sum()), 1e-3)
    low, high = inside - step, inside
    while low > outside and not refused(low):
        step, high = 2.0 * step, low
        low = inside - step
    if low <= outside:
        low = outside
        if not refused(low):
            return outside
    while high - low > _NEAR * step:
        middle = 0.5 * (low + high)
        if refused(middle):
            low = middle
        else:
            high = middle
    return low
