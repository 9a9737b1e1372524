"""Choices that a planner learned after it was fitted, from few problems, by their likeness to those it knew.

The accuracy of an added choice is logistic in what the stage predicts anyway: the logit of the reference's
level and the factors of the known choices' advantages. It knows nothing of how the weights were found
(``training.extending.pooling``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["Added", "design_of"]

Floats = NDArray[np.float64]

#: a level is held inside this before its logit is taken
_LEAST = 0.02


def design_of(level: Floats, factors: Floats) -> Floats:
    """(rows, 2 + R) what the accuracy of an added choice is linear in, as a logit: one, the logit of the
    reference's level (rows,), and the factors (rows, R)."""
    inside = np.minimum(np.maximum(level, _LEAST), 1.0 - _LEAST)
    return np.column_stack([np.ones(len(level)), np.log(inside / (1.0 - inside)), factors])


@dataclass(frozen=True, slots=True, eq=False)
class Added:
    """The choices that were added to a stage of R factors, M of them.

    Parameters
    ----------
    weights:
        (M, 2 + R) of the columns of ``design_of``.
    average:
        (M,) mean advantage over the reference, by which a rule decides.

    Raises ArtefactError where they do not fit together or are not finite.
    """

    weights: Floats
    average: Floats

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.average.shape != (len(self.weights),) or not len(self.weights):
            raise ArtefactError(
                f"added choices have weights and one average each, got {self.weights.shape}, "
                f"{self.average.shape}"
            )
        if not (np.isfinite(self.weights).all() and np.isfinite(self.average).all()):
            raise ArtefactError("the numbers of added choices must be finite, got NaN or infinity")

    def __len__(self) -> int:
        return len(self.weights)

    def accuracy(self, level: Floats, factors: Floats) -> Floats:
        """(rows, M) from the reference's level (rows,) and the factors (rows, R)."""
        design = design_of(level, factors)
        logits = design[:, :1] * self.weights[:, 0]
        for column in range(1, design.shape[1]):  # one after the other: equal bits for one row and for many
            logits = logits + design[:, column, None] * self.weights[:, column]
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -40.0, 40.0))))

    def credit(self, level: float, factors: Floats, credited: Floats) -> Floats:
        """(M, F) what each feature adds to each advantage, to first order.

        ``credited`` (1 + R, F): what it adds to the logit of the level and to each factor.
        """
        accuracy = self.accuracy(np.array([level]), factors[None])[0]
        slope = accuracy * (1.0 - accuracy)
        through = slope[:, None] * (self.weights[:, 1:] @ credited)
        return np.asarray(through - level * (1.0 - level) * credited[0])

    def and_more(self, more: Added) -> Added:
        """These, and others behind them."""
        return Added(
            np.concatenate([self.weights, more.weights]), np.concatenate([self.average, more.average])
        )
