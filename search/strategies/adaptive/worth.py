"""What more samples of a vote are worth: how much they raise the chance that its answer is the majority's.

With votes W1 and W2 of the two leading answers, the share of the first among samples of these two is
Beta(W1 + 1, W2 + 1) (Adaptive-Consistency, Aggarwal et al., arXiv 2305.11860). The leader is the majority's
answer with a chance c. After m more samples that of the answer that leads then is max(c', 1 - c'), and by how
much this is expected to exceed c is what m samples are worth. One sample alone is seldom worth anything,
since it cannot overturn a lead of two votes; so the best of several m counts, per sample (the KG(*) policy of
Frazier and Powell, Decision Analysis 7(4), 2010).

    >>> worth_of_more([0.0, 1.0, 1.0, 3.0], [0.0, 1.0, 0.0, 0.0], [1, 1, 2, 2]).round(5).tolist()
    [0.25, 0.1875, 0.03125, 0.0]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, gammaln

__all__ = ["worth_of_more"]

Floats = npt.NDArray[np.float64]

#: so many samples are looked ahead, of those that are left
_AHEAD = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
#: votes are counted to a half, so that weighted votes repeat
_FINENESS = 2.0


def worth_of_more(first: npt.ArrayLike, second: npt.ArrayLike, missing: npt.ArrayLike) -> Floats:
    """What a further sample is worth, as a part of several if that is more, in the shape of the arguments.

    A chance, 1.0 is 100 points. 0 where none is missing, or where those that are cannot change the leader.

    Parameters
    ----------
    first, second:
        Votes of the two leading answers, at least 0, read to the nearest half.
    missing:
        How many samples may follow.
    """
    asked = np.broadcast_arrays(
        np.round(np.asarray(first, np.float64) * _FINENESS) / _FINENESS,
        np.round(np.asarray(second, np.float64) * _FINENESS) / _FINENESS,
        np.asarray(missing, np.float64),
    )
    states, back = np.unique(np.stack([part.ravel() for part in asked], axis=1), axis=0, return_inverse=True)
    best = np.zeros(len(states))
    for more in _AHEAD:
        # where so many are left and may change the leader
        rows = np.flatnonzero((states[:, 2] >= more) & (states[:, 0] - states[:, 1] < more))
        if len(rows):
            gain = _gained(states[rows, 0, None], states[rows, 1, None], more)
            best[rows] = np.maximum(best[rows], gain / more)
    return np.asarray(best[back.ravel()].reshape(asked[0].shape))


def _gained(first: Floats, second: Floats, more: int) -> Floats:
    """(rows,) the expected rise of the chance within so many samples; votes (rows, 1)."""
    # so few of them for the leader that the other one leads
    k = np.arange((more + 1) // 2 + 1, dtype=np.float64)
    k = k[k <= more]
    a, b = first + 1.0, second + 1.0
    ways = gammaln(more + 1.0) - gammaln(k + 1.0) - gammaln(more - k + 1.0)
    chance = np.exp(ways + betaln(a + k, b + more - k) - betaln(a, b))
    lead = 1.0 - betainc(a + k, b + more - k, 0.5)
    return np.asarray((chance * np.maximum(1.0 - 2.0 * lead, 0.0)).sum(axis=1))
