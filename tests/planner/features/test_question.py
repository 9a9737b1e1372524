from __future__ import annotations

import math
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.features.question import SURFACE, NgramEncoder, ngram_counts, pair_checks, surface
from search.errors import ArtefactError

QUESTIONS = [f"what is {a} plus {b} times ({a} + 1)?" for a in range(6) for b in range(6)] + [
    f"reach {a} from 3, 7 and {a + 2}" for a in range(20)
]
ENCODER = NgramEncoder.fit(QUESTIONS, dimensions=5)


def test_surface_counts() -> None:
    seen = dict(zip(SURFACE, surface("Work out (3 + 41) * [2.5 - 1]?"), strict=True))
    assert (seen["numbers"], seen["decimals"], seen["brackets"], seen["depth"]) == (4, 1, 2, 1)
    assert (seen["plus"], seen["minus"], seen["times"], seen["operators"]) == (1, 1, 1, 3)
    assert seen["largest_log"] == pytest.approx(np.log1p(41))


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_finite_features(question: str) -> None:
    assert np.isfinite(surface(question)).all()
    assert np.isfinite(ENCODER.encode(question)).all()


def test_a_megabyte_is_read_in_part() -> None:
    long = "1 + 2 * " * 130_000
    assert surface(long)[SURFACE.index("log_chars")] == pytest.approx(np.log1p(len(long)))
    assert np.isfinite(ENCODER.encode(long)).all()


def test_ngrams_tell_kinds_apart_and_not_numbers() -> None:
    one, same, other = (
        ENCODER.encode(q)
        for q in (
            "what is 4 plus 5 times (4 + 1)?",
            "what is 3 plus 2 times (3 + 1)?",
            "reach 9 from 3, 7 and 11",
        )
    )
    assert one @ same > 3 * abs(one @ other)


def test_the_same_seed_gives_the_same_encoder() -> None:
    again = NgramEncoder.fit(QUESTIONS, dimensions=5)
    assert np.array_equal(again.components, ENCODER.components)


def test_refuses_arrays_that_do_not_fit() -> None:
    with pytest.raises(ArtefactError, match="n-gram arrays"):
        NgramEncoder(np.ones(3), np.ones((4, 2)))


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**18) | st.integers(0, 1200), max_size=6), st.sampled_from(["", "0", "."]))
def test_numbers_are_read_as_python_reads_them(numbers: list[int], lead: str) -> None:
    seen = dict(zip(SURFACE, surface(" ".join(f"{lead}{number}" for number in numbers)), strict=True))
    values = [min(float(f"{lead}{number}"[:20].lstrip(".")), 1e15) for number in numbers]
    logs = [math.log1p(value) for value in values]
    assert seen["largest_log"] == max(logs, default=0.0)
    assert seen["mean_log"] == sum(logs) / max(1, len(logs))
    assert seen["sum_log"] == math.log1p(min(sum(values), 1e18))


def test_encodes_as_scikit_learn_reduces() -> None:
    """The slow way: the same counts in scikit-learn's own tf-idf, norm and reduction."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import normalize

    buckets = len(ENCODER.idf)
    rows = np.zeros((len(QUESTIONS), buckets))
    for row, question in zip(rows, QUESTIONS, strict=True):
        where, value = ngram_counts(question, buckets)
        row[where] = value
    occurs = csr_matrix(rows > 0).astype(np.float64)
    slow_idf = TfidfTransformer(smooth_idf=True).fit(occurs).idf_
    np.testing.assert_allclose(ENCODER.idf, slow_idf, rtol=1e-6)
    slow = normalize(rows * ENCODER.idf) @ ENCODER.components
    fast = np.stack([ENCODER.encode(question) for question in QUESTIONS])
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-12)


def test_counts_what_scikit_learn_counts() -> None:
    """Character n-grams of ASCII texts, told apart: as many of each as ``CountVectorizer`` finds."""
    from sklearn.feature_extraction.text import CountVectorizer

    questions = ["aab aab", "what is 4 plus 5?", "x"]
    counted = CountVectorizer(analyzer="char", ngram_range=(3, 4), lowercase=True).fit_transform(
        [f" {question} " for question in questions]
    )
    buckets = 2**22
    for question, slow in zip(questions, counted.toarray(), strict=True):
        where, value = ngram_counts(question, buckets)
        characters = np.expm1(value[where < buckets // 2]).round().astype(int)
        assert sorted(characters.tolist()) == sorted(slow[slow > 0].tolist())


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12))
def test_sums_of_pairs_are_those_of_the_pairs_written_out(words: list[bytes]) -> None:
    checks = np.array([zlib.crc32(word) for word in words], np.int64)
    written = [zlib.crc32(b" ".join(pair)) for pair in pairwise(words)]
    assert pair_checks(checks, words).tolist() == written
