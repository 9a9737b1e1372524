"""What a request is for: the most accuracy under a cap or a mean, a target at least cost, or a price.

    >>> HardCap(tokens=2000)
    HardCap(tokens=2000, flops=None)
    >>> HardCap()
    Traceback (most recent call last):
    search.errors.BudgetError: a hard cap limits tokens or flops, got neither

An objective says what is wanted; how it is met lies in ``planner.decision``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from search.errors import BudgetError

__all__ = ["HardCap", "MeanBudget", "Objective", "Price", "TargetAccuracy", "Unit"]

Unit = Literal["flops", "tokens"]


@dataclass(frozen=True, slots=True)
class HardCap:
    """The most accuracy while this request stays within so many logical tokens or FLOPs."""

    tokens: int | None = None
    flops: float | None = None

    def __post_init__(self) -> None:
        if self.tokens is None and self.flops is None:
            raise BudgetError("a hard cap limits tokens or flops, got neither")
        for name, value in (("tokens", self.tokens), ("flops", self.flops)):
            if value is not None and not value >= 0:
                raise BudgetError(f"a cap cannot be negative, got {name}={value}")


@dataclass(frozen=True, slots=True)
class MeanBudget:
    """The most accuracy over a stream whose requests take ``amount`` on average.

    Met through a price that was calibrated on the training folds.
    """

    amount: float
    unit: Unit = "flops"

    def __post_init__(self) -> None:
        _positive("a mean budget", self.amount)
        _unit(self.unit)


@dataclass(frozen=True, slots=True)
class TargetAccuracy:
    """The least cost at which this request is expected to be right with this probability.

    Where no plan gets there, the most accurate one.
    """

    accuracy: float

    def __post_init__(self) -> None:
        if not 0.0 < self.accuracy <= 1.0:
            raise BudgetError(f"a target accuracy must be in (0, 1], got {self.accuracy}")


@dataclass(frozen=True, slots=True)
class Price:
    """Spend a unit more only where it is expected to add at least ``price`` of accuracy.

    ``price``: accuracy (1.0 is a hundred points) per FLOP or per token. 0 asks for accuracy alone.
    """

    price: float
    unit: Unit = "flops"

    def __post_init__(self) -> None:
        if not (self.price >= 0 and math.isfinite(self.price)):
            raise BudgetError(f"a price cannot be negative but got {self.price}")
        _unit(self.unit)


Objective = HardCap | MeanBudget | TargetAccuracy | Price


def _positive(what: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise BudgetError(f"{what} must be above 0, got {value}")


def _unit(unit: str) -> None:
    if unit not in ("flops", "tokens"):
        raise BudgetError(f"a unit is flops or tokens, got {unit!r}")
