"""The option that a decision took and the best of those that it left, and what each feature did to that.

An option is a column of a stage: one of its C choices, or probing further at one of its J prices
(``planner.deciding.decision``). Effects come from the path attribution of ``Stage.contributions``; they are
about predicted accuracy, not about predicted cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu
from planner.deciding.stages import Stage

__all__ = ["PairedComparison", "effects", "paired_comparison"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """Columns of a stage (C choices, then J prices of probing further): taken, and the best of the others.
    ``other`` is None where there was nothing else to take."""

    taken: int
    other: int | None


def paired_comparison(stage: Stage, menu: Menu, row: int, option: int, price: float) -> PairedComparison:
    """What a decision at ``price`` per FLOP was between. ``option``: C stands for probing further."""
    count = len(stage.choices)
    net = menu.advantage[row] - price * menu.costs.flops[row]
    columns = list(range(count))
    values = [float(value) for value in net]
    taken = option
    if len(menu.prices):
        nearest = int(np.abs(np.log(menu.prices / max(price, 1e-300))).argmin())
        columns.append(count + nearest)
        values.append(float(menu.advance_net[row, nearest]))
        if option == count:
            taken = count + nearest
    others = [(value, -column) for column, value in zip(columns, values, strict=True) if column != taken]
    return PairedComparison(taken=taken, other=-max(others)[1] if others else None)


def effects(stage: Stage, features: Floats, between: PairedComparison) -> Floats:
    """(F,) what each feature (F,) added to the option taken over the other one; zeros without another."""
    if between.other is None:
        return np.zeros(len(features))
    credited = stage.contributions(features)
    return np.asarray(credited[between.taken] - credited[between.other])
