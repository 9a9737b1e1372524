"""Steps and scores: how the text of a solution falls into the pieces that a PRM scores, and how their rewards
become one number.

    >>> split("2+3=5\\n\\n# 5", "\\n")
    ('2+3=5', '# 5')
    >>> apportion(("2+3=5", "# 5"), 10)
    (6, 4)
    >>> score([0.5, 0.25], "min")
    0.25

``min``, ``last``, ``mean`` and ``prod`` as in Snell et al. (arXiv 2408.03314, section 5.1) and
search-and-learn's ``aggregate_scores``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

__all__ = ["SCORES", "apportion", "score", "split"]

#: the names that plans use
SCORES = ("min", "last", "mean", "prod")


def split(text: str, delimiter: str) -> tuple[str, ...]:
    """The steps of a text, without delimiters. A blank piece is no step: there is nothing to score."""
    return tuple(piece for piece in text.split(delimiter) if piece.strip())


def apportion(steps: Sequence[str], tokens: int) -> tuple[int, ...]:
    """``tokens`` shared out over steps in proportion to their characters, summing to ``tokens``.

    For solutions written in one piece: an engine tells how many tokens it wrote, not which belong
    to which step. Each step weighs its characters and one for what ends it (delimiter or end of
    sequence), which is exact for an engine whose tokens are characters. A text without steps gives
    one entry, so that no token is lost; no tokens at all give none.
    """
    if not tokens and not steps:
        return ()
    weights = [len(step) + 1 for step in steps] or [1]
    total = sum(weights)
    bounds = [0, *(tokens * part // total for part in accumulate(weights))]
    return tuple(high - low for low, high in pairwise(bounds))


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
