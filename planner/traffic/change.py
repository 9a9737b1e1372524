"""Whether something changed, and when: tests that may be looked at after every observation.

Under the hypothesis that nothing changed the capital of a gambler is a martingale that begins with 1, so it
ever reaches 1 / a with a chance of at most a. The bets here begin anew every few observations, each with its
own part of the capital, so that a change after a long quiet time is found soon; the beginning that won most
says since when.

``moved`` bets on ranks: given a reference and the values so far, the rank of the next value is uniform if all
come from one distribution in any order (conformal martingales: Vovk, Gammerman and Shafer 2005, chapter 7).
Nothing is assumed of that distribution. ``below`` bets that the mean of bounded values lies below 0.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from planner.traffic.betting import BETS

__all__ = ["Change", "below", "moved", "ranks"]

Floats = NDArray[np.float64]

#: bets on ranks: densities of Beta distributions, on either end, on both and on the middle
_SHAPES = ((0.5, 1.0), (1.0, 0.5), (2.0, 1.0), (1.0, 2.0), (0.6, 0.6), (2.0, 2.0))
#: observations from one beginning of bets to the next
_EVERY = 40


@dataclass(frozen=True, slots=True)
class Change:
    """What a test found: the logarithm of the most capital so far, after how many observations it was first
    enough (None: never), and from which observation on there was a change, most likely; ``column`` is what
    changed most, where several things were watched."""

    log_capital: float
    found: int | None
    since: int
    column: int = 0


def moved(reference: Floats, values: Floats, *, alpha: float, seed: int = 0) -> Change:
    """Whether values (N, F) are distributed unlike a reference (M, F).

    Each column has an equal part of the capital. ``seed`` breaks ties among equal values at random.
    """
    if not values.size:
        return Change(0.0, None, 0)
    logs = []
    for column in range(values.shape[1]):
        found = ranks(reference[:, column], values[:, column], Random(f"{seed}/{column}"))
        logs.append(np.stack([_log_beta(found, a, b) for a, b in _SHAPES], axis=1))
    return _won(np.stack(logs), alpha)


def below(values: Floats, *, reach: float, alpha: float) -> Change:
    """Whether the mean of values (N,), none further than ``reach`` from 0, lies below 0 from some time on."""
    if not len(values):
        return Change(0.0, None, 0)
    size = np.array(BETS) / reach
    return _won(np.log1p(-values[:, None] * size)[None], alpha)


def ranks(reference: Floats, values: Floats, random: Random) -> Floats:
    """(N,) the place of each value among the reference and the values before it, in (0, 1), ties broken at
    random: uniform and independent where all are exchangeable."""
    known = sorted(reference.tolist())
    out = np.empty(len(values))
    for place, value in enumerate(values.tolist()):
        low, high = bisect_left(known, value), bisect_right(known, value)
        out[place] = (low + random.random() * (high - low + 1)) / (len(known) + 1)
        insort(known, value)
    return np.clip(out, 1e-9, 1.0 - 1e-9)


def _won(logs: Floats, alpha: float) -> Change:
    """Of bets whose capital is multiplied by exp(``logs``), (F, N, K), for each of F things K ways."""
    things, count, ways = logs.shape
    begins = np.arange(0, count, _EVERY)
    # a beginning's part of the capital must be known before: it depends on its number alone
    parts = -np.log((np.arange(len(begins)) + 1.0) * (np.arange(len(begins)) + 2.0))
    paths = np.concatenate([np.zeros((things, 1, ways)), np.cumsum(logs, axis=1)], axis=1)
    # what has not begun yet lies idle
    total = np.full(count + 1, np.log1p(-np.exp(parts).sum()) if len(begins) else 0.0)
    each = []
    for begin, part in zip(begins.tolist(), parts.tolist(), strict=True):
        won = paths - paths[:, begin : begin + 1]
        won[:, :begin] = 0.0
        # (F, N + 1), ways mixed
        mixed = part + np.logaddexp.reduce(won, axis=2) - math.log(ways * things)
        total = np.logaddexp(total, np.logaddexp.reduce(mixed, axis=0))
        each.append(mixed)
    enough = np.flatnonzero(total >= math.log(1.0 / alpha))
    at = int(enough[0]) if len(enough) else int(total.argmax())
    place, column = divmod(int(np.stack([mixed[:, at] for mixed in each]).argmax()), things)
    return Change(float(total.max()), int(enough[0]) if len(enough) else None, int(begins[place]), column)


def _log_beta(values: Floats, a: float, b: float) -> Floats:
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return np.asarray(scale + (a - 1.0) * np.log(values) + (b - 1.0) * np.log1p(-values))
