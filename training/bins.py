"""Binned features of every probe and fold, made when first needed and shared by all trials of a study.

Trials differ in labels and shapes, hardly ever in rows: LightGBM's binning of them is done once for
each probe, fold and set of feature groups. Folds are fitted at the same time, each by one thread, so that the
models do not depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from planner.evidence.matrix import Matrix
from planner.evidence.probe import feature_groups
from planner.predicting.boosting import Binned

__all__ = ["Bins"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

T = TypeVar("T")
U = TypeVar("U")


class Bins:
    """The rows of a log's data as LightGBM wants them.

    Parameters
    ----------
    folds:
        (P,) the fold of each problem.
    threads:
        How many folds or probes are fitted at the same time.
    """

    def __init__(self, folds: Ints, threads: int = 1) -> None:
        self.folds = folds
        self.names: tuple[int, ...] = tuple(np.unique(folds).tolist())
        self._threads = threads
        self._binned: dict[tuple[object, ...], Binned] = {}

    def split(self, matrix: Matrix, fold: int) -> tuple[Ints, Ints]:
        """Rows of a fold and all others; where there are no others, the fold's own."""
        inside = self.folds[matrix.problem] == fold
        out, rest = np.flatnonzero(inside), np.flatnonzero(~inside)
        return out, rest if len(rest) else out

    def at(self, matrix: Matrix, groups: Sequence[str] | None = None, fold: int | None = None) -> Binned:
        """The rows of a probe outside ``fold`` (None: all of them). Features of other groups than these
        (None: all are used) are held at 0: no tree splits on them."""
        used = _used(matrix, groups)
        key = (matrix.probe, None if used.all() else used.tobytes(), fold)
        if key not in self._binned:
            rows = matrix.features if fold is None else matrix.features[self.split(matrix, fold)[1]]
            self._binned[key] = Binned(rows if used.all() else np.where(used, rows, 0.0))
        return self._binned[key]

    def each(self, work: Callable[[T], U], over: Iterable[T]) -> list[U]:
        """``work`` on each item, some at the same time, results in order. No two may use the same rows."""
        items = list(over)
        if self._threads == 1 or len(items) < 2:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(work, items))


def _used(matrix: Matrix, groups: Sequence[str] | None) -> NDArray[np.bool_]:
    width = matrix.features.shape[1]
    if groups is None:
        return np.ones(width, np.bool_)
    ngrams = width - len(feature_groups(matrix.probe, 0, matrix.thoughts))
    return np.array([group in groups for group in feature_groups(matrix.probe, ngrams, matrix.thoughts)])
