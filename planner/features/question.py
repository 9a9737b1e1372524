"""What the question alone tells: lengths, numbers, operators, structure, and hashed n-grams.

``surface`` needs nothing learned. ``NgramEncoder`` hashes character and word n-grams and reduces
them by a truncated SVD (scikit-learn, at fit time only; transforming is numpy). It knows nothing of
domains: what a question is about shows in its n-grams.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["LONGEST", "SURFACE", "NgramEncoder", "surface"]

Floats = NDArray[np.float64]

#: characters read; what comes after changes only the length features
LONGEST = 20_000

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"[A-Za-z]+")
_FORMULA = re.compile(r"\b(?:[A-Z][a-z]?\d*){2,}\b")

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
    words = _WORD.findall(text)
    found = _NUMBER.findall(text)
    # beyond 15 digits a number is only "huge"
    logs = [math.log1p(min(float(n[:20]), 1e15)) for n in found]
    depth = deepest = 0
    for mark in re.findall(r"[()\[\]{}]", text):
        depth += 1 if mark in "([{" else -1
        deepest = max(deepest, depth)
    plus, minus, percent, equals = (text.count(mark) for mark in "+-%=")
    times = text.count("*") + text.count("\u00d7")
    divide = text.count("/") + text.count("\u00f7")
    return np.array(
        [
            math.log1p(len(question)),
            len(words),
            text.count("\n") + 1,
            sum(map(len, words)) / max(1, len(words)),
            len(set(words)) / max(1, len(words)),
            len(found),
            len(set(found)),
            sum("." in n for n in found),
            max(logs, default=0.0),
            sum(logs) / max(1, len(logs)),
            math.log1p(min(sum(min(float(n[:20]), 1e15) for n in found), 1e18)),
            sum(map(str.isdigit, text)) / size,
            plus,
            minus,
            times,
            divide,
            percent,
            equals,
            plus + minus + times + divide,
            text.count("(") + text.count("[") + text.count("{"),
            deepest,
            text.count(","),
            text.count("?"),
            len(_FORMULA.findall(text)),
            sum(map(str.isupper, text)) / size,
            sum(ord(letter) > 127 for letter in text) / size,
        ],
        dtype=np.float64,
    )


@dataclass(frozen=True, slots=True)
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

        counted = [_counts(question, buckets) for question in questions]
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
        where, value = _counts(question, len(self.idf))
        if not len(where):
            return np.zeros(self.dimensions)
        weighted = value * self.idf[where]
        weighted /= math.sqrt(float(weighted @ weighted))
        return np.asarray(weighted @ self.components[where])


def _counts(question: str, buckets: int) -> tuple[NDArray[np.int64], Floats]:
    """Buckets that occur, and log(1 + count) of each."""
    half = buckets // 2
    text = question[:LONGEST].lower()
    raw = np.frombuffer(f" {text} ".encode("utf-8", "replace"), np.uint8).astype(np.uint64)
    hashed = []
    for size in (3, 4):
        if len(raw) >= size:
            windows = np.lib.stride_tricks.sliding_window_view(raw, size)
            powers = np.array([257**i for i in range(size)], np.uint64)
            mixed = (windows @ powers) * np.uint64(0x9E3779B97F4A7C15)
            hashed.append((mixed >> np.uint64(40)) % np.uint64(half))
    # numbers differ in every question: their sizes are in the surface features
    words = re.findall(r"[a-z]+|[^\sa-z0-9]", text)
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    keys = [half + zlib.crc32(token.encode("utf-8", "replace")) % half for token in (*words, *pairs)]
    everything = np.concatenate([*(h.astype(np.int64) for h in hashed), np.array(keys, np.int64)])
    where, count = np.unique(everything, return_counts=True)
    return where, np.log1p(count)
