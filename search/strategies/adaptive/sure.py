"""How sure a vote is that its leader is the majority of the two leading answers.

The chance is 1 - I_1/2(W1 + 1, W2 + 1), with W1 and W2 the votes of the two and I the regularised incomplete
beta function (Adaptive-Consistency, Aggarwal et al., arXiv 2305.11860, their Beta criterion).

    >>> certainty([1.0, 3.0, 2.0], [0.0, 0.0, 2.0]).round(4).tolist()
    [0.75, 0.9375, 0.5]
    >>> is_sure([1.0, 3.0, 2.0], [0.0, 0.0, 2.0], 0.9).tolist()
    [False, True, False]
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

__all__ = ["certainty", "is_sure"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: from so many votes on most are decided without the beta function
_MANY = 4096
#: votes of a runner-up up to which what its leader needs is looked up, and lookups a vote
_MOST, _STEPS = 64, 16
#: halvings that find what a leader needs, and what they may be off by, relative and in votes
_HALVINGS, _OFF = 40, 1e-9


def certainty(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """The chance that the leader is the majority of the two leading answers, from their votes."""
    a, b = np.asarray(first, np.float64) + 1.0, np.asarray(second, np.float64) + 1.0
    return np.asarray(1.0 - betainc(a, b, 0.5))


def is_sure(first: npt.ArrayLike, second: npt.ArrayLike, level: float) -> Bools:
    """``certainty(first, second) >= level``, element by element, the same to the bit.

    A certainty rises with the leader's votes and falls with the other's. So what a leader needs beside two
    runners-up bounds what it needs beside those between them, and only votes between the two are computed.
    """
    a, b = (np.asarray(one, np.float64) for one in np.broadcast_arrays(first, second))
    if a.size < _MANY:
        return np.asarray(certainty(a, b) >= level)
    needed = _needed(level)
    at = np.minimum(b * _STEPS, float(len(needed) - 2))
    place = at.astype(np.int64)
    sure = a > needed[place + (at > place)] * (1.0 + _OFF) + _OFF
    open_ = ~sure & (a >= needed[place] * (1.0 - _OFF) - _OFF)
    beyond = b > (len(needed) - 2) / _STEPS
    if beyond.any():
        open_ |= beyond
    sure[open_] = certainty(a[open_], b[open_]) >= level
    return sure


@lru_cache(maxsize=64)
def _needed(level: float) -> Floats:
    """The votes from which a leader is sure beside a runner-up of 0, 1 / ``_STEPS``, ... votes."""
    second = np.arange(_MOST * _STEPS + 2) / _STEPS
    low, high = np.zeros_like(second), second + 64.0
    while (short := certainty(high, second) < level).any():
        high[short] = 2.0 * high[short] + 64.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        enough = certainty(middle, second) >= level
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    found = np.maximum.accumulate(high)
    found.flags.writeable = False
    return np.asarray(found)
