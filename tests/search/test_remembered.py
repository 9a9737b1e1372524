"""Newest results of a function of a text, within a number and a size."""

from __future__ import annotations

import threading

import pytest

from search.remembered import Remembered


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


def test_both_bounds_hold_whatever_comes() -> None:
    remembered = Remembered(Counting(), entries=5, characters=100)
    for length in (*range(1, 60), 101, 1000, 100, 3, 99, *([1, 2, 3] * 9)):
        assert remembered("x" * length) == "X" * length
        assert len(list(remembered)) <= 5
        assert sum(map(len, remembered)) <= 100
    assert list(remembered)  # something is kept


def test_the_longest_unused_goes_first() -> None:
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
def test_bounds_are_positive(bounds: dict[str, int]) -> None:
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
