"""How low the mean accuracy of a stream may be, at each price: one-sided bounds by problem family.

Families are the units: problems of one family are alike, and a stream may hold others. The bound is Student's
t over families, with one more family added, of average size, in which every answer is wrong. Without that,
few families of which nearly all are right would make a bound too sure: where all G of them are right, a share
of about 3 / G may still be wrong (the rule of three, Hanley and Lippman-Hand 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["Bounds"]

Floats = NDArray[np.float64]

#: fewer families than this are no units: then every problem is one
_FEWEST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Mean accuracies (J,) and their standard errors (J,), one wrong family more included.

    ``units`` is how many families there were, or problems where all of them are of one family.
    """

    mean: Floats
    error: Floats
    units: int

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.error.shape or not len(self.mean):
            raise ArtefactError(
                f"bounds need a mean and an error at each price, got {self.mean.shape}, {self.error.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.error).all() and (self.error >= 0).all()):
            raise ArtefactError("bounds need finite means, and errors of at least 0, got others")
        if self.units < 1:
            raise ArtefactError(f"bounds are of at least 1 family, got {self.units}")

    @classmethod
    def of(cls, accuracy: Floats, families: Sequence[str]) -> Bounds:
        """Bounds of the accuracies (P, J) that P problems met at J prices, with the family of each."""
        names, at, sizes = np.unique(np.asarray(families), return_inverse=True, return_counts=True)
        if len(names) < _FEWEST:
            at, sizes = np.arange(len(accuracy)), np.ones(len(accuracy), np.int64)
        units = len(sizes)
        right = np.zeros((units + 1, accuracy.shape[1]))  # the last family is wrong throughout
        np.add.at(right, at, accuracy)
        size = np.append(sizes, sizes.mean())
        mean = right.sum(axis=0) / size.sum()
        apart = right - size[:, None] * mean
        error = np.sqrt((apart**2).sum(axis=0) * (units + 1) / units) / size.sum()
        return cls(mean, error, units)

    def low(self, confidence: float) -> Floats:
        """(J,) what the mean accuracy of a stream is at least, each with this confidence in [0.5, 1)."""
        from scipy.special import stdtrit

        return np.maximum(self.mean - float(stdtrit(float(self.units), confidence)) * self.error, 0.0)
