"""What more samples are worth: exact small cases, and what must hold of any votes."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from search.strategies.adaptive.sure import certainty
from search.strategies.adaptive.worth import worth_of_more


def by_hand(first: int, second: int, more: int) -> float:
    """The rise of the chance after so many samples, by counting every order in which they may come."""
    before = float(certainty(first, second))
    after = 0.0
    for draws in itertools.product((True, False), repeat=more):
        a, b, chance = first, second, Fraction(1)
        for leads in draws:
            chance *= Fraction((a if leads else b) + 1, a + b + 2)
            a, b = a + leads, b + (not leads)
        after += float(chance) * max(float(certainty(a, b)), 1.0 - float(certainty(a, b)))
    return after - before


@pytest.mark.parametrize("first", range(5))
@pytest.mark.parametrize("second", range(3))
@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_it_is_the_best_of_what_can_be_counted(first: int, second: int, missing: int) -> None:
    if second > first:
        first, second = second, first
    counted = max(by_hand(first, second, more) / more for more in range(1, missing + 1))
    assert float(worth_of_more(first, second, missing)) == pytest.approx(max(counted, 0.0), abs=1e-12)


def test_it_agrees_with_the_distribution_of_scipy() -> None:
    k = np.arange(13)
    after = certainty(5 + k, 4 + 12 - k)
    gained = (betabinom(12, 6, 5).pmf(k) * np.maximum(1.0 - 2.0 * after, 0.0)).sum()
    assert float(worth_of_more(5, 4, 12)) >= gained / 12 - 1e-12


@given(
    st.lists(st.tuples(st.floats(0, 40), st.floats(0, 40), st.integers(0, 70)), min_size=1, max_size=20).map(
        lambda states: [(max(a, b), min(a, b), m) for a, b, m in states]
    )
)
def test_it_is_a_chance_and_grows_with_what_may_follow(states: list[tuple[float, float, int]]) -> None:
    first, second, missing = np.array(states).T
    worth = worth_of_more(first, second, missing)
    assert ((worth >= 0.0) & (worth <= 0.25)).all()
    assert (worth_of_more(first, second, missing + 1) >= worth).all()
    assert (worth[missing == 0] == 0.0).all()
    alone = [float(worth_of_more(*state)) for state in states]
    assert alone == worth.tolist()


def test_a_lead_that_cannot_be_lost_is_worth_nothing() -> None:
    assert worth_of_more([5.0, 5.0], [1.0, 1.0], [4, 5]).tolist()[0] == 0.0
    assert worth_of_more([5.0, 5.0], [1.0, 1.0], [4, 6]).tolist()[1] > 0.0
