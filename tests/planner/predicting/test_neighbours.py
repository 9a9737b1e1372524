"""Neighbours are the nearest in standardised features, one question and many alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.predicting.neighbours import Likeness, Neighbours
from search.errors import ArtefactError

#: two features of very different sizes, and one that never varies
KNOWN = np.array([[0.0, 0.0, 7.0], [1.0, 1000.0, 7.0], [2.0, 0.0, 7.0], [3.0, 1000.0, 7.0]])


def test_features_count_alike_whatever_their_size() -> None:
    likeness = Likeness.of(KNOWN)
    assert [list(near) for near in likeness.nearest(np.array([[0.1, 10.0, 7.0], [2.9, 999.0, -3.0]]), 2)] == [
        [0, 2],
        [3, 1],
    ]


def test_nobody_is_a_neighbour_within_its_own_group() -> None:
    likeness, own = Likeness.of(KNOWN), np.array([0, 0, 1, 1])
    assert [near[0] for near in likeness.nearest(KNOWN, 1, (own, own))] == [2, 3, 0, 1]
    same = np.zeros(4, np.int64)
    assert [near[0] for near in likeness.nearest(KNOWN, 1, (same, same))] == [2, 3, 0, 1]


def test_the_mean_goes_over_the_nearest() -> None:
    values = np.array([[0.0, 1.0], [0.0, 0.5], [0.0, 0.2], [0.0, -1.0]])
    neighbours = Neighbours(Likeness.of(KNOWN), values, 2)
    assert neighbours.mean(KNOWN[:1]) == pytest.approx(np.array([[0.0, 0.6]]))
    every = Neighbours(Likeness.of(KNOWN), values, 4)
    assert every.mean(KNOWN) == pytest.approx(np.tile(values.mean(axis=0), (4, 1)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 30))
def test_one_question_and_many_give_equal_bits(seed: int, problems: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    neighbours = Neighbours(
        Likeness.of(rng.normal(size=(problems, 5))), rng.normal(size=(problems, 3)), min(count, problems)
    )
    asked = rng.normal(size=(7, 5))
    many = neighbours.mean(asked)
    assert (many == np.concatenate([neighbours.mean(row[None]) for row in asked])).all()


def test_the_nearest_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(3)
    known, asked = rng.normal(size=(200, 6)), rng.normal(size=(20, 6))
    found = np.stack(list(Likeness.of(known).nearest(asked, 12)))
    centre, scale = known.mean(axis=0), known.std(axis=0)
    distance = (((asked - centre) / scale)[:, None] - ((known - centre) / scale)[None]) ** 2
    assert (found == distance.sum(axis=2).argsort(axis=1)[:, :12]).all()


@pytest.mark.parametrize(
    ("values", "count"), [(np.zeros((3, 2)), 1), (np.zeros((4, 2)), 0), (np.zeros(4), 1)]
)
def test_what_does_not_fit_together_is_refused(values: np.ndarray, count: int) -> None:
    with pytest.raises(ArtefactError, match="neighbours"):
        Neighbours(Likeness.of(KNOWN), values, count)
