"""Whether a question is of the kind that a planner was learned from, and of which of its domains.

Three signs are read: how the question is worded against open-ended prompts, against problems of other
kinds, and how many of its words and word pairs were never seen. Each is measured in units of the tail of what
left-out families of the log had, and the length of what lies beyond the tails' edges is compared with one
limit. A wording is the question's words and word pairs, hashed, with every number masked, and its surface.
Fitting is ``training.domains``; deciding is numpy only.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.features.question import SURFACE, surface
from search.errors import ArtefactError

__all__ = [
    "SIGNS",
    "WIDTH",
    "DomainGuess",
    "DomainModel",
    "Wording",
    "novelty",
    "scaled",
    "unknown_share",
    "wording",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: what a question is judged by, in the order of ``edges`` and ``tails``; less is stranger
SIGNS = ("open-ended prompts", "problems of other kinds", "unknown words")

#: standard deviations beyond which a surface feature counts no more
_CLIP = 3.0
#: weight of a surface feature beside the words, whose vector has length one
_SHARE = 0.1

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


@dataclass(frozen=True, slots=True)
class DomainGuess:
    """What a question is taken for.

    Parameters
    ----------
    domain:
        None: it is unlike everything that the planner was learned from.
    score:
        How strange it is: 1 is the limit beyond which a question is foreign.
    reason:
        Why, where it is foreign; else "".
    """

    domain: str | None
    score: float
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DomainModel:
    """Tells a planner's questions from others, and its domains from each other.

    Parameters
    ----------
    domains:
        K names, those of the planner.
    problems:
        How many it was learned from.
    centre, scale:
        (len(SURFACE),) of the surface features.
    weights, bias:
        (WIDTH, K + 2) and (K + 2,): a column per domain, one for open-ended prompts, and one of the log
        against problems of other kinds.
    known:
        (V,) CRC-32 of the words and word pairs of the log, ascending.
    edges, tails:
        (3,) for each of ``SIGNS``: the lowest tenth of left-out questions begins at the edge, and lies so
        far below it on average.
    limit:
        Of ``novelty``: what is beyond it is foreign.

    Raises ArtefactError where they do not fit together.
    """

    domains: tuple[str, ...]
    problems: int
    centre: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    known: Ints
    edges: Floats
    tails: Floats
    limit: float
    _known: frozenset[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        columns, surface, signs = len(self.domains) + 2, len(SURFACE), len(SIGNS)
        wanted = {
            "centre": (surface,),
            "scale": (surface,),
            "weights": (WIDTH, columns),
            "bias": (columns,),
            "edges": (signs,),
            "tails": (signs,),
            "known": (len(self.known),),
        }
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise ArtefactError(f"{name} of a domain model must be finite and {shape}, got {array.shape}")
        if not self.domains or self.problems < 1:
            raise ArtefactError(
                f"a domain model knows domains of problems, got {self.domains} of {self.problems}"
            )
        if not (self.scale > 0).all() or not (self.tails > 0).all():
            raise ArtefactError("scales and tails of a domain model must be above 0, got others")
        if not (np.isfinite(self.limit) and self.limit > 0):
            raise ArtefactError(f"the limit of a domain model must be above 0, got {self.limit}")
        if (np.diff(self.known) <= 0).any():
            raise ArtefactError("known words of a domain model must ascend, got others")
        object.__setattr__(self, "_known", frozenset(self.known.tolist()))

    def predict(self, question: str) -> DomainGuess:
        """What a question is taken for. Takes a fraction of a millisecond."""
        words = wording(question)
        logits = self.bias + words.values @ self.weights.take(words.places, axis=0)
        logits += scaled(words.surface, self.centre, self.scale) @ self.weights[-len(SURFACE) :]
        own, (against, other) = logits[:-2], logits[-2:].tolist()
        top = float(own.max())
        inside = top if len(own) == 1 else top + float(np.log(np.exp(own - top).sum()))
        score = self._score((inside - against, other, -self._unknown_share(words)))
        if score > 1.0:
            return DomainGuess(None, score, self._reason())
        return DomainGuess(self.domains[int(own.argmax())], score)

    def _score(self, signs: tuple[float, ...]) -> float:
        """``novelty`` of one question over the limit: for three numbers, arrays take longer than sums."""
        total = 0.0
        for sign, edge, tail in zip(signs, self.edges.tolist(), self.tails.tolist(), strict=True):
            below = max((edge - sign) / tail, 0.0)
            total += below * below
        return math.sqrt(total) / self.limit

    def _unknown_share(self, words: Wording) -> float:
        """``unknown_share`` of one question."""
        total = 0.0
        for checks in (words.words.tolist(), words.pairs.tolist()):
            seen = sum(map(self._known.__contains__, checks))
            total += (len(checks) - seen) / (len(checks) + 1.0)
        return total

    def _reason(self) -> str:
        return (
            f"the question is unlike the {self.problems:,} problems that this planner was learned from "
            f"({', '.join(self.domains)})"
        )


def scaled(surface: Floats, centre: Floats, scale: Floats) -> Floats:
    """Surface features as a model takes them, beside the words."""
    # np.clip is slower than its two halves
    return np.minimum(np.maximum((surface - centre) / scale, -_CLIP), _CLIP) * _SHARE


def novelty(signs: Floats, edges: Floats, tails: Floats) -> Floats:
    """How far signs (..., 3) lie below their edges, in tails: the length of what lies below."""
    below = np.maximum((edges - signs) / tails, 0.0)
    return np.asarray(np.sqrt((below * below).sum(axis=-1)))


def unknown_share(words: Wording, known: Ints) -> float:
    """Shares of unknown words and of unknown pairs, together below 2, a little less in short questions."""
    total = 0.0
    for checks in (words.words, words.pairs):
        at = np.searchsorted(known, checks)
        seen = int((known.take(at, mode="clip") == checks).sum()) if len(known) else 0
        total += (len(checks) - seen) / (len(checks) + 1.0)
    return total
