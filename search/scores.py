"""Scores: how the step rewards of one solution become one number.

``min``, ``last``, ``mean`` and ``prod`` as in Snell et al. (arXiv 2408.03314, section 5.1) and
search-and-learn's ``aggregate_scores``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["SCORES", "score"]

#: the names that plans use
SCORES = ("min", "last", "mean", "prod")


def score(step_rewards: Sequence[float], name: str) -> float:
    """One number for a solution.

    Parameters
    ----------
    step_rewards:
        One reward in [0, 1] per step. A solution without steps scores 0.0: nothing speaks for it.
    name:
        One of ``SCORES``. Raises ValueError otherwise.
    """
    if name not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got {name!r}")
    if not step_rewards:
        return 0.0
    if name == "min":
        return min(step_rewards)
    if name == "last":
        return step_rewards[-1]
    if name == "mean":
        return math.fsum(step_rewards) / len(step_rewards)
    return math.prod(step_rewards)
