"""A mapping of the newest entries, within a number and a size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.bounded import Bounded

PUTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60)), max_size=60)


def kept(entries: int, size: int, least: int = 0) -> Bounded[int, int]:
    """A mapping whose values are what they weigh."""
    return Bounded(entries=entries, size=size, weigh=lambda key, value: value, least=least)


@given(PUTS, st.integers(1, 6), st.integers(1, 100))
def test_both_bounds_hold_whatever_comes(puts: list[tuple[int, int]], entries: int, size: int) -> None:
    newest = kept(entries, size)
    for key, weight in puts:
        newest.put(key, weight)
        assert len(newest) <= entries
        assert newest.size <= size
        assert newest.size == sum(newest.get(each) or 0 for each in newest)
        assert newest.get(key) == (weight if weight <= size else None)


@given(PUTS, st.integers(1, 4))
def test_the_newest_are_kept_whatever_they_weigh(puts: list[tuple[int, int]], least: int) -> None:
    newest = kept(6, 1, least)
    order: list[int] = []
    for key, weight in puts:
        newest.put(key, weight)
        order = [*(each for each in order if each != key), key]
        assert list(newest)[-least:] == order[-least:]
        assert len(newest) <= 6


def test_what_is_got_is_new_again() -> None:
    newest = kept(2, 100)
    newest.put(1, 1)
    newest.put(2, 1)
    assert newest.get(1) == 1
    newest.put(3, 1)
    assert list(newest) == [1, 3]
    assert 2 not in newest
    assert newest.get(2) is None


@pytest.mark.parametrize(("entries", "size", "least"), [(0, 1, 0), (1, 0, 0), (1, 1, 2), (1, 1, -1)])
def test_bounds_make_sense(entries: int, size: int, least: int) -> None:
    with pytest.raises(ValueError, match=f"got entries={entries}, size={size}, least={least}"):
        kept(entries, size, least)
