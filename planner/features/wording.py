"""How a question is worded: its words and word pairs, hashed, with every number masked; and its surface.

It is what tells the questions that a planner was learned from apart from any others. Nothing is learned
here, and nothing beyond numpy is needed.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.features.question import SURFACE, surface

__all__ = ["WIDTH", "Wording", "wording"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: hashed words and pairs; a power of two
_BUCKETS = 4096
#: length of a wording as one vector: buckets, then the surface
WIDTH = _BUCKETS + len(SURFACE)

#: characters read
_LONGEST = 4_000

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
#: words (any letters), a masked number, and other marks one by one
_TOKEN = re.compile(r"[^\W\d_]+|0|[^\w\s]|_")
_EDGE = b"\x00"


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """One question as numbers.

    Parameters
    ----------
    places, values:
        (N,) buckets that occur and their weights: 1 + log(count), scaled to a length of one.
    surface:
        (len(SURFACE),) lengths, numbers, marks (``planner.features.question``).
    words, pairs:
        CRC-32 of every different word, and of every different pair of neighbours.
    """

    places: Ints
    values: Floats
    surface: Floats
    words: Ints
    pairs: Ints


def wording(question: str) -> Wording:
    """The wording of a question.

    >>> one, other = wording("Tom has 3 cats."), wording("Tom has 1,200 cats.")
    >>> one.places.tolist() == other.places.tolist()
    True
    """
    text = _NUMBER.sub(" 0 ", question[:_LONGEST].lower())
    tokens = [token.encode("utf-8", "replace") for token in _TOKEN.findall(text)]
    pairs = [b" ".join(pair) for pair in zip([_EDGE, *tokens], [*tokens, _EDGE], strict=True)]
    counted = Counter(map(zlib.crc32, tokens))
    paired = Counter(map(zlib.crc32, pairs))
    weights: dict[int, int] = {}
    for counts in (counted, paired):
        for check, count in counts.items():
            place = check & (_BUCKETS - 1)
            weights[place] = weights.get(place, 0) + count
    values = [1.0 + math.log(count) for count in weights.values()]
    size = math.sqrt(sum(value * value for value in values))
    words = {zlib.crc32(token) for token in tokens if token[:1].isalpha() or token[0] > 127}
    return Wording(
        places=np.fromiter(weights, np.int64, len(weights)),
        values=np.array(values) / size,
        surface=surface(question),
        words=np.fromiter(words, np.int64, len(words)),
        pairs=np.fromiter(paired, np.int64, len(paired)),
    )
