"""The newest entries of a mapping, and the newest results of a function, within a number and a size."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.bounded import Bounded, Remembered

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


class Counting:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, text: str) -> str:
        self.calls.append(text)
        if text == "bad":
            raise ValueError("bad")
        return text.upper()


def test_a_text_is_worked_on_once() -> None:
    function = Counting()
    remembered = Remembered(function)
    assert [remembered(text) for text in "abab"] == ["A", "B", "A", "B"]
    assert function.calls == ["a", "b"]


def test_results_keep_within_both_bounds() -> None:
    remembered = Remembered(Counting(), entries=5, characters=100)
    for length in (*range(1, 60), 101, 1000, 100, 3, 99, *([1, 2, 3] * 9)):
        assert remembered("x" * length) == "X" * length
        assert len(list(remembered)) <= 5
        assert sum(map(len, remembered)) <= 100
    assert list(remembered)  # something is kept


def test_the_result_longest_unused_goes_first() -> None:
    remembered = Remembered(Counting(), entries=2)
    for text in ("a", "b", "a", "c"):
        remembered(text)
    assert list(remembered) == ["a", "c"]


def test_what_raises_is_not_kept() -> None:
    function = Counting()
    remembered = Remembered(function)
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            remembered("bad")
    assert function.calls == ["bad", "bad"]
    assert list(remembered) == []


@pytest.mark.parametrize("bounds", [{"entries": 0}, {"characters": 0}])
def test_bounds_of_results_are_positive(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one result is kept, got"):
        Remembered(str.upper, **bounds)


def test_threads_share_it() -> None:
    remembered = Remembered(str.upper, entries=10, characters=40)

    def work(first: int) -> None:
        for number in range(first, first + 2000):
            assert remembered(f"a{number % 30}") == f"A{number % 30}"

    threads = [threading.Thread(target=work, args=(7 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(map(len, remembered)) <= 40
    for number in range(10):  # their characters are what is remembered: ten of four each just fit
        remembered(f"b{number:03d}")
    assert len([*remembered]) == 10
