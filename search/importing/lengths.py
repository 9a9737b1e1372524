"""Token counts where a record has none, and the split of a count over steps.

GPT-4 wrote 1.75 characters a token on Game of 24 (digits and operators; measured by
``benchmarks/real_logs.py``) and English prose has about four; worked solutions of school mathematics
lie between. The constant scales all estimated costs of a log alike, so comparisons at equal cost
inside one log do not depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["CHARACTERS_PER_TOKEN", "estimated_tokens", "spread"]

#: characters of a worked solution per token
CHARACTERS_PER_TOKEN = 3.0


def estimated_tokens(text: str) -> int:
    """Tokens of a text by its length; at least 1, since a model ends even an empty text.

    >>> estimated_tokens("16 - 3 - 4 = 9")
    5
    """
    return max(1, math.ceil(len(text) / CHARACTERS_PER_TOKEN))


def spread(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers in proportion to ``weights`` that sum to ``total`` (largest remainders first).

    Equal shares where all weights are 0. Raises ValueError for a negative total or weight, or for no
    weights at all.

    >>> spread(10, [1, 1, 2])
    (3, 2, 5)
    """
    if total < 0 or not weights or min(weights) < 0:
        raise ValueError(f"a total is spread over weights from 0, got {total} over {list(weights)}")
    whole = math.fsum(weights)
    shares = [total * weight / whole if whole > 0 else total / len(weights) for weight in weights]
    counts = [math.floor(share) for share in shares]
    order = sorted(range(len(weights)), key=lambda i: (counts[i] - shares[i], i))
    for place in order[: total - sum(counts)]:
        counts[place] += 1
    return tuple(counts)
