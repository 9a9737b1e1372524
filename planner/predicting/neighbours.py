"""Nearest neighbours on the question: what each choice was worth on the problems most like this one.

Distance is Euclidean over standardised question features, surface and n-grams. It is the yardstick that
learned routers often do not pass (arXiv 2606.07587), and a rule that anybody could write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["COUNTS", "MOST_KEPT", "Likeness", "Neighbours"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: numbers of neighbours that training picks from
COUNTS = (1, 3, 5, 10, 20, 40, 80, 160)
#: problems that a planner remembers at most: they bound the time of a decision and the size of an artefact
MOST_KEPT = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How near a question is to each of some known ones.

    Parameters
    ----------
    centre, scale:
        (F,) the mean and the standard deviation of each feature; ``inf`` where one never varies.
    known:
        (P, F) standardised features of the known questions, as 32-bit floats.
    """

    centre: Floats
    scale: Floats
    known: NDArray[np.float32]
    _squares: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_squares", (self.known**2).sum(axis=1))

    @classmethod
    def of(cls, features: Floats) -> Likeness:
        """To the questions with these features, (P, F)."""
        centre, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 1e-9, scale, np.inf)
        return cls(centre, scale, ((features - centre) / scale).astype(np.float32))

    def nearest(self, features: Floats, most: int, apart: tuple[Ints, Ints] | None = None) -> Iterator[Ints]:
        """For each row of ``features`` (rows, F) the places of the ``most`` nearest, the nearest first.

        Questions are looked at one by one, so that one question and many give equal bits.

        Parameters
        ----------
        apart:
            The group of each row and of each known question: nobody is a neighbour within its own group. A
            row whose group is everybody's is only held apart from the question at its own place.
        """
        most = min(most, len(self.known))
        rows = ((features - self.centre) / self.scale).astype(np.float32)
        for place, row in enumerate(rows):
            distance = self._squares - 2.0 * (self.known @ row)
            if apart is not None:
                same = apart[1] == apart[0][place]
                if same.all():
                    distance[place] = np.inf
                else:
                    distance[same] = np.inf
            if most == len(distance):
                near = distance.argsort(kind="stable")
            else:
                near = np.argpartition(distance, most)[:most]
                near = near[distance[near].argsort(kind="stable")]
            yield near


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The values of choices on known problems, and how to find the problems most like a question.

    Parameters
    ----------
    likeness:
        To the questions of P problems.
    values:
        (P, C) what each choice was worth on them, above a common reference.
    count:
        How many of the nearest are asked.

    Raises ArtefactError where they do not fit together.
    """

    likeness: Likeness
    values: Floats
    count: int

    def __post_init__(self) -> None:
        problems = len(self.likeness.known)
        if self.values.ndim != 2 or len(self.values) != problems:
            raise ArtefactError(f"neighbours have values on {problems} problems, got {self.values.shape}")
        if not 1 <= self.count <= problems:
            raise ArtefactError(f"neighbours are 1 to {problems}, got {self.count}")

    def mean(self, features: Floats) -> Floats:
        """(rows, C) the mean value of each choice over the nearest of each row of ``features`` (rows, F)."""
        out = np.empty((len(features), self.values.shape[1]))
        for row, near in zip(out, self.likeness.nearest(features, self.count), strict=True):
            row[:] = self.values[near].mean(axis=0)
        return out
