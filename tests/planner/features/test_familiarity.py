"""A wording: numbers are masked, nothing else is lost on the way, any text has one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from planner.features.familiarity import WIDTH, wording


@given(st.text(max_size=300))
def test_any_text_has_a_wording(text: str) -> None:
    found = wording(text)
    assert found.places.shape == found.values.shape
    assert ((found.places >= 0) & (found.places < WIDTH)).all()
    assert len(np.unique(found.places)) == len(found.places)
    assert np.isclose(np.linalg.norm(found.values), 1.0)
    assert np.isfinite(found.surface).all()


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_are_masked(first: int, second: int) -> None:
    one, other = wording(f"Take {first} from 7."), wording(f"Take {second} from 7.")
    assert one.places.tolist() == other.places.tolist()
    assert np.array_equal(one.pairs, other.pairs)


def test_words_are_letters_and_pairs_know_the_edges() -> None:
    found = wording("Why? 3 cats")
    assert len(found.words) == 2
    assert len(found.pairs) == 5  # edge-why, why-?, ?-0, 0-cats, cats-edge
    assert not set(found.words.tolist()) & set(found.pairs.tolist())
    assert len(wording("").words) == 0


def test_long_texts_are_read_to_a_limit() -> None:
    long = "word " * 800 + "and then another end"
    assert wording(long).words.tolist() == wording("word").words.tolist()
