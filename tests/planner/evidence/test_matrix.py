"""What is known of a question alone is found once, and kept within a size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from planner.evidence.probe import question_features
from planner.features.question import NgramEncoder, surface


@pytest.fixture
def encoder() -> NgramEncoder:
    return NgramEncoder.fit([f"what is {number} + {number}?" for number in range(8)], dimensions=3)


def test_a_question_is_looked_at_once_by_each_encoder(encoder: NgramEncoder) -> None:
    other = NgramEncoder(encoder.idf, -encoder.components)
    found, text = question_features("what is 3 + 4?", encoder), "what is 3 + 4?"
    assert question_features(text, encoder) is found
    np.testing.assert_array_equal(found, np.concatenate([surface(text), encoder.encode(text)]))
    np.testing.assert_array_equal(question_features(text, other)[-3:], -found[-3:])
    assert question_features(text, encoder) is found
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1.0


def test_long_questions_are_kept_within_a_size(encoder: NgramEncoder) -> None:
    """Forty of 100,000 characters, as a server takes them, are 4 MB."""
    question_features("the tables of an encoder", encoder)
    tracemalloc.start()
    try:
        for number in range(40):
            found = question_features(f"{number}" + "x" * 100_000, encoder)
            assert question_features(f"{number}" + "x" * 100_000, encoder) is found  # the next stage asks
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 1.5 * 2**20
