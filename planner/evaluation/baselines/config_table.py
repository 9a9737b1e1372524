"""Config table: what every setting of one method is worth and costs on each problem, and the track that picks
among the settings by price. It knows nothing of planners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.selection import Selection
from planner.evaluation.frontier import Track

__all__ = ["ConfigTable", "selected"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ConfigTable:
    """S settings of a method on P problems.

    ``settings`` names them; ``values`` (expected correctness), ``tokens`` and ``flops`` are (P, S), each
    from nothing: what a setting draws or scores is charged to it.
    """

    settings: tuple[str, ...]
    values: Floats
    tokens: Floats
    flops: Floats

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, at: Ints) -> ConfigTable:
        """Some problems alone."""
        return ConfigTable(
            settings=self.settings, values=self.values[at], tokens=self.tokens[at], flops=self.flops[at]
        )

    def columns(self, at: Sequence[int]) -> ConfigTable:
        """Some settings alone, in this order."""
        where = list(at)
        return ConfigTable(
            settings=tuple(self.settings[i] for i in where),
            values=self.values[:, where],
            tokens=self.tokens[:, where],
            flops=self.flops[:, where],
        )

    def beside(self, other: ConfigTable) -> ConfigTable:
        """The settings of both, on the same problems."""
        return ConfigTable(
            settings=(*self.settings, *other.settings),
            values=np.concatenate([self.values, other.values], axis=1),
            tokens=np.concatenate([self.tokens, other.tokens], axis=1),
            flops=np.concatenate([self.flops, other.flops], axis=1),
        )

    def like(self, test: ConfigTable) -> ConfigTable:
        """The settings of ``test``, all of which it must have, in its order."""
        return self.columns([self.settings.index(name) for name in test.settings])

    def track(self, name: str, picks: Ints) -> Track:
        """The track that takes setting ``picks`` (P, J) on each problem at each of J prices."""
        rows = np.arange(len(self))[:, None]
        return Track(
            name=name,
            accuracy=self.values[rows, picks],
            tokens=self.tokens[rows, picks],
            flops=self.flops[rows, picks],
        )


def selected(
    name: str, test: ConfigTable, training: ConfigTable, selection: Sequence[Selection], prices: Floats
) -> Track:
    """At each price (J,) the setting with the best mean of accuracy less its price, as training shows it.

    Those are the corners of the upper concave hull of accuracy against cost; a track mixes between two of
    them, so this is the best that the method does at every mean budget.
    """
    picks = np.empty((len(test), len(prices)), np.int64)
    for part in selection:
        seen = training.rows(part.pick)
        net = seen.values.mean(axis=0)[:, None] - prices * seen.flops.mean(axis=0)[:, None]
        picks[part.score] = net.argmax(axis=0)
    return test.track(name, picks)
