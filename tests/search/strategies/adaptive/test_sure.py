"""What is sure by bounds is sure by the beta function, to the last vote."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.strategies.adaptive.sure import certainty, is_sure

LEVELS = [0.5, 0.7, 0.8, 0.9, 0.96, 0.99, 1.0 - 1e-12, 1.0]


def votes(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    shape = (900, 16)
    if kind == "whole":
        pair = rng.integers(0, 17, (2, *shape)).astype(np.float64)
    elif kind == "heavy":
        pair = np.exp(rng.normal(0.0, 4.0, (2, *shape)))
    elif kind == "alike":
        pair = np.full((2, *shape), 3.0)
    else:
        pair = rng.gamma(0.5, 6.0, (2, *shape)) * (rng.random((2, *shape)) < 0.8)
    return np.maximum(*pair), np.minimum(*pair)


@pytest.mark.parametrize("kind", ["whole", "weighted", "heavy", "alike"])
@pytest.mark.parametrize("level", LEVELS)
def test_many_votes_are_as_sure_as_each_alone(kind: str, level: float) -> None:
    first, second = votes(kind, np.random.default_rng(0))
    assert np.array_equal(is_sure(first, second, level), certainty(first, second) >= level)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 1.0))
def test_the_same_at_any_level_and_just_beside_the_bounds(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    second = rng.gamma(1.0, rng.uniform(0.1, 20.0), 5000)
    first = second + rng.gamma(1.0, 2.0, 5000)
    # and votes at which the answer turns, as near as bisection finds them
    low, high = np.zeros(50), second[:50] + 2000.0
    for _ in range(60):
        middle = (low + high) / 2.0
        enough = certainty(middle, second[:50]) >= level
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    first = np.concatenate([first, low, high])
    second = np.concatenate([second, second[:50], second[:50]])
    assert np.array_equal(is_sure(first, second, level), certainty(first, second) >= level)
