"""Steps: how the text of a solution falls into the pieces that a PRM scores.

>>> split("2+3=5\\n\\n# 5", "\\n")
('2+3=5', '# 5')
>>> apportion(("2+3=5", "# 5"), 10)
(6, 4)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

__all__ = ["apportion", "split"]


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
