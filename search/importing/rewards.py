"""Rewards as others write them become shares in [0, 1], or are refused by the rule that they break."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["shares"]


def shares(given: Any, logits: bool) -> tuple[float, ...] | str:
    """Step rewards in [0, 1], or the rule that they break.

    A single number is one reward for the whole solution (an ORM's). ``logits``: the logistic function
    is applied, which keeps their order.

    >>> shares([0.5, 1], False), shares(0.0, True)
    ((0.5, 1.0), (0.5,))
    >>> shares([2.0], False)
    'a reward lies in [0, 1] unless rewards are said to be logits'
    """
    values = given if isinstance(given, list | tuple) else [given]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "a reward is a number"
    if not all(math.isfinite(value) for value in values):
        return "a reward is finite"
    if logits:
        return tuple(_logistic(float(value)) for value in values)
    if not all(0.0 <= value <= 1.0 for value in values):
        return "a reward lies in [0, 1] unless rewards are said to be logits"
    return tuple(float(value) for value in values)


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else math.exp(value) / (1.0 + math.exp(value))
