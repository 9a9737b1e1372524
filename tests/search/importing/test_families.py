"""Buckets keep a question and its twins with other numbers together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from search.importing.families import BUCKETS, bucket


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_do_not_matter(first: int, second: int) -> None:
    assert bucket(f"Tom has {first} apples.") == bucket(f"Tom  has {second:,} APPLES.")


def test_different_questions_spread_over_all_buckets() -> None:
    words = ("apples", "boats", "cats", "dogs", "eggs", "figs")
    questions = [f"Does {a} and {b} make {c}?" for a in words for b in words for c in words]
    assert {bucket(question) for question in questions} == {f"bucket-{i:02d}" for i in range(BUCKETS)}


def test_questions_of_digits_alone_are_told_apart() -> None:
    assert len({bucket(f"{i} 2 3 4") for i in range(100)}) > 20
