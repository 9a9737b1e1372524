"""What the question alone tells: lengths, numbers, operators, structure, and hashed n-grams.

``surface`` needs nothing learned. ``NgramEncoder`` hashes character and word n-grams and reduces
them by a truncated SVD (scikit-learn, at fit time only; transforming is numpy). It knows nothing of
domains: what a question is about shows in its n-grams.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["LONGEST", "SURFACE", "NgramEncoder", "ngram_counts", "pair_checks", "surface"]

Floats = NDArray[np.float64]

#: characters read; what comes after changes only the length features
LONGEST = 20_000

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# the same as \b(?:[A-Z][a-z]?\d*){2,}\b, but it begins with a set of letters, which is searched for faster
_FORMULA = re.compile(r"[A-Z](?<!\w[A-Z])[a-z]?\d*(?:[A-Z][a-z]?\d*)+\b")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_FOREIGN_SPACE = re.compile(r"[^\S\x00-\x7f]")

_DIGITS = b"0123456789"
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL = _CAPITALS.lower()
#: what both ``str.split`` and ``\s`` take for space below 128
_SPACES = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "
_BRACKETS = b"()[]{}"
_OPENS = frozenset(b"([{")
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_WORDLY = _SMALL + _DIGITS + _SPACES


def _blanked(keep: bytes) -> bytes:
    """A table for ``bytes.translate`` that leaves ``keep`` and makes everything else a space."""
    return bytes(byte if byte in keep else 32 for byte in range(256))


_ONLY_LETTERS = _blanked(_CAPITALS + _SMALL)
_ONLY_NUMBERS = _blanked(_DIGITS + b".")
_NO_DIGITS = _blanked(bytes(set(range(256)) - set(_DIGITS + _SPACES)))

#: numbers that most questions consist of, read and their logarithms taken once
_SMALL_NUMBERS = {str(number): (float(number), math.log1p(number)) for number in range(1000)}

#: names of what ``surface`` returns, in order
SURFACE = (
    "log_chars",
    "words",
    "lines",
    "mean_word_length",
    "distinct_words_share",
    "numbers",
    "distinct_numbers",
    "decimals",
    "largest_log",
    "mean_log",
    "sum_log",
    "digits_share",
    "plus",
    "minus",
    "times",
    "divide",
    "percent",
    "equals",
    "operators",
    "brackets",
    "depth",
    "commas",
    "question_marks",
    "formulas",
    "capitals_share",
    "non_ascii_share",
)


def surface(question: str) -> Floats:
    """Surface features of one question, (len(SURFACE),), all finite."""
    text = question[:LONGEST]
    size = max(1, len(text))
    # bytes are counted and cut many times faster than characters; what is not ASCII is looked at apart
    raw = text.encode("utf-8", "surrogatepass")
    foreign = "" if text.isascii() else "".join(_FOREIGN.findall(text))
    kinds = set(foreign)
    words = raw.translate(_ONLY_LETTERS).split()
    found = _numbers(text, raw, kinds)
    known = list(map(_SMALL_NUMBERS.get, found))
    read = [pair or _read(n) for pair, n in zip(known, found, strict=True)] if None in known else known
    values, logs = zip(*read, strict=True) if read else ((), ())
    brackets = raw.translate(None, _NOT_BRACKETS)
    depths = accumulate(1 if mark in _OPENS else -1 for mark in brackets)
    plus, minus, percent, equals = (raw.count(mark) for mark in b"+-%=")
    times = raw.count(b"*") + foreign.count("\u00d7")
    divide = raw.count(b"/") + foreign.count("\u00f7")
    digits = len(raw) - len(raw.translate(None, _DIGITS)) + _count(foreign, filter(str.isdigit, kinds))
    capitals = len(raw) - len(raw.translate(None, _CAPITALS)) + _count(foreign, filter(str.isupper, kinds))
    return np.array(
        [
            math.log1p(len(question)),
            len(words),
            raw.count(b"\n") + 1,
            sum(map(len, words)) / max(1, len(words)),
            len(set(words)) / max(1, len(words)),
            len(found),
            len(set(found)),
            "".join(found).count(".") if b"." in raw else 0,
            max(logs, default=0.0),
            sum(logs) / max(1, len(logs)),
            math.log1p(min(sum(values), 1e18)),
            digits / size,
            plus,
            minus,
            times,
            divide,
            percent,
            equals,
            plus + minus + times + divide,
            brackets.count(b"(") + brackets.count(b"[") + brackets.count(b"{"),
            max(0, max(depths, default=0)),
            raw.count(b","),
            raw.count(b"?"),
            len(_FORMULA.findall(text)),
            capitals / size,
            len(foreign) / size,
        ],
        dtype=np.float64,
    )


@dataclass(frozen=True, slots=True, eq=False)
class NgramEncoder:
    """Hashed character 3- and 4-grams, words and word pairs, reduced to a few dimensions.

    ``components`` has shape (buckets, dimensions): the first half of the buckets belongs to
    characters, the second to words. ``idf`` has shape (buckets,).
    """

    idf: Floats
    components: Floats

    def __post_init__(self) -> None:
        if self.components.ndim != 2 or self.idf.shape != self.components.shape[:1] or len(self.idf) % 2:
            raise ArtefactError(
                "n-gram arrays must be (buckets,) and (buckets, dimensions), "
                f"got {self.idf.shape}, {self.components.shape}"
            )
        if not (np.isfinite(self.idf).all() and np.isfinite(self.components).all()):
            raise ArtefactError("n-gram arrays must be finite, got NaN or infinity")

    @property
    def dimensions(self) -> int:
        """Length of an encoded question."""
        return int(self.components.shape[1])

    @classmethod
    def fit(
        cls, questions: Sequence[str], *, dimensions: int = 12, buckets: int = 2048, seed: int = 0
    ) -> NgramEncoder:
        """Learn the reduction from questions alone (no labels)."""
        from scipy.sparse import csr_matrix
        from sklearn.decomposition import TruncatedSVD

        counted = [ngram_counts(question, buckets) for question in questions]
        columns = np.concatenate([where for where, _ in counted])
        values = np.concatenate([value for _, value in counted])
        starts = np.cumsum([0, *(len(where) for where, _ in counted)])
        present = np.bincount(columns, minlength=buckets)
        idf = np.log((1.0 + len(questions)) / (1.0 + present)) + 1.0
        matrix = csr_matrix((values * idf[columns], columns, starts), shape=(len(questions), buckets))
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        matrix = csr_matrix(matrix.multiply(1.0 / np.maximum(norms, 1e-12)[:, None]))
        rank = max(1, min(dimensions, len(questions) - 1, buckets - 1))
        reduction = TruncatedSVD(rank, random_state=seed, n_iter=4).fit(matrix)
        components = np.zeros((buckets, dimensions))
        components[:, :rank] = reduction.components_.T
        # stored as float32: what is fitted must be what is loaded
        return cls(
            idf.astype(np.float32).astype(np.float64), components.astype(np.float32).astype(np.float64)
        )

    def encode(self, question: str) -> Floats:
        """One question as a vector, (dimensions,)."""
        where, value = ngram_counts(question, len(self.idf))
        if not len(where):
            return np.zeros(self.dimensions)
        weighted = value * self.idf[where]
        weighted /= math.sqrt(float(weighted @ weighted))
        return np.asarray(weighted @ self.components.take(where, axis=0))


def ngram_counts(question: str, buckets: int) -> tuple[NDArray[np.int64], Floats]:
    """Buckets that occur, ascending, and log(1 + count) of each."""
    half = buckets // 2
    text = question[:LONGEST].lower()
    raw = np.frombuffer(f" {text} ".encode("utf-8", "replace"), np.uint8).astype(np.uint64)
    places = []
    if len(raw) >= 3:
        # a window of bytes is a number to the base 257
        windows = raw[:-2] + np.uint64(257) * raw[1:-1] + np.uint64(257**2) * raw[2:]
        places.append(_scatter(windows, half))
        places.append(_scatter(windows[:-1] + np.uint64(257**3) * raw[3:], half))
    # numbers differ in every question: their sizes are in the surface features
    words = _tokens(text)
    checks = np.fromiter(map(zlib.crc32, words), np.int64, len(words))
    places.append(half + checks % half)
    places.append(half + pair_checks(checks, words) % half)
    count = np.bincount(np.concatenate(places), minlength=buckets)
    where = np.flatnonzero(count)
    return where, np.log1p(count[where])


def _shifts() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What CRC-32 makes of a sum when a space and a word of L bytes follow: tables (L, byte of the sum, its
    value), and what the space adds, (L,). The word's own sum is added to that (zlib's ``crc32_combine``)."""
    ends = 2**32 - 1
    table = np.array([zlib.crc32(bytes((byte,)), ends) ^ ends for byte in range(256)], np.int64)
    tables = np.empty((_LONGEST_WORD + 2, 4, 256), np.int64)
    spaces = np.empty(_LONGEST_WORD + 2, np.int64)
    tables[0] = np.arange(256) << np.arange(0, 32, 8)[:, None]
    spaces[0] = zlib.crc32(b" ")
    for size in range(_LONGEST_WORD + 1):
        tables[size + 1] = (tables[size] >> 8) ^ table[tables[size] & 255]
        spaces[size + 1] = (spaces[size] >> 8) ^ table[spaces[size] & 255]
    return tables[1:].ravel(), spaces[:-1]


#: words of more bytes are added byte by byte
_LONGEST_WORD = 24
_SHIFTS, _SPACED = _shifts()


def pair_checks(checks: NDArray[np.int64], words: Sequence[bytes]) -> NDArray[np.int64]:
    """CRC-32 of every "one two" from those of its words, without writing it."""
    first, second = checks[:-1], checks[1:]
    size = np.fromiter(map(len, words), np.int64, len(words))[1:]
    short = np.minimum(size, _LONGEST_WORD)
    base = short << 10
    sums = second ^ _SPACED.take(short)
    for place in range(4):
        sums ^= _SHIFTS.take(base + (place << 8) + ((first >> (8 * place)) & 255))
    for at in np.flatnonzero(size > _LONGEST_WORD).tolist():
        sums[at] = zlib.crc32(words[at + 1], zlib.crc32(b" ", int(first[at])))
    return sums


def _scatter(windows: NDArray[np.uint64], half: int) -> NDArray[np.int64]:
    """Multiplicative hashing: the top 24 bits of a product, folded into ``half`` buckets."""
    mixed = (windows * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return (mixed & np.uint64(half - 1) if half & (half - 1) == 0 else mixed % np.uint64(half)).view(np.int64)


def _tokens(text: str) -> list[bytes]:
    """Words of ``[a-z]`` and single other marks of a lower-case text, in order, without digits and spaces."""
    if not text.isascii():
        text = _FOREIGN.sub(_spelt, _FOREIGN_SPACE.sub(" ", text))
    raw = text.encode("utf-8", "replace")
    for mark in set(raw.translate(None, _WORDLY)):
        if mark < 128:
            raw = raw.replace(bytes((mark,)), bytes((32, mark, 32)))
    return raw.translate(_NO_DIGITS).split()


def _spelt(run: re.Match[str]) -> str:
    """A run of letters beyond ASCII with spaces around each."""
    return f" {' '.join(run[0])} "


def _read(number: str) -> tuple[float, float]:
    """A number and its logarithm."""
    # beyond 15 digits a number is only "huge"
    value = float(number) if len(number) <= 15 else min(float(number[:20]), 1e15)
    return value, math.log1p(value)


def _count(text: str, kinds: Iterable[str]) -> int:
    """How many letters of ``text`` are of these kinds."""
    wanted = frozenset(kinds)
    return sum(map(wanted.__contains__, text)) if wanted else 0


def _numbers(text: str, raw: bytes, foreign: set[str]) -> list[str]:
    """What ``_NUMBER`` finds in ``text``; ``raw`` is its UTF-8 and ``foreign`` are its other letters."""
    if any(map(str.isdecimal, foreign)):
        return _NUMBER.findall(text)
    parts = raw.translate(_ONLY_NUMBERS).decode("ascii").split()
    if b"." not in raw:
        return parts
    dotted = [at for at, whole in enumerate(map(str.isdigit, parts)) if not whole]
    for at in reversed(dotted):
        parts[at : at + 1] = _NUMBER.findall(parts[at])
    return parts
