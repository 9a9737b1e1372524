"""Where a baseline picks and where it is scored: never on the same problems, nor on those of one family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Selection", "families_apart"]

Ints = NDArray[np.int64]

_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Problem indices: of the log that is picked on, and of the one that is scored."""

    pick: Ints
    score: Ints


def families_apart(families: Sequence[str], seed: int, folds: int = _FOLDS) -> tuple[Selection, ...]:
    """Leave out a fold of the families at a time; problems of one family pick and score on halves."""
    names, inverse = np.unique(np.asarray(families), return_inverse=True)
    if len(names) == 1:
        inverse, names = np.arange(len(families)) % 2, np.arange(2).astype(str)
    fold = np.random.default_rng(seed).permutation(len(names))[inverse] % min(folds, len(names))
    return tuple(Selection(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in np.unique(fold))
