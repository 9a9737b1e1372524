"""Steps: blank pieces are none, tokens are shared out to the last one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.strategies.running.steps import apportion, split


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a\nb", ("a", "b")),
        ("a\n", ("a",)),
        ("\n\na\n \nb\n\n", ("a", "b")),
        ("", ()),
        (" \n", ()),
        ("a", ("a",)),
    ],
)
def test_split(text: str, steps: tuple[str, ...]) -> None:
    assert split(text, "\n") == steps


def test_any_delimiter_will_do() -> None:
    assert split("a\nb\n\nc", "\n\n") == ("a\nb", "c")


@given(st.lists(st.text(min_size=1, max_size=9), max_size=9), st.integers(0, 200))
def test_no_token_is_lost_or_made(steps: list[str], tokens: int) -> None:
    shares = apportion(steps, tokens)
    assert sum(shares) == tokens
    assert min(shares, default=0) >= 0
    assert len(shares) == (len(steps) or (1 if tokens else 0))


@given(st.lists(st.text("ab", min_size=1, max_size=9), min_size=1, max_size=9))
def test_it_is_exact_where_tokens_are_characters(steps: list[str]) -> None:
    assert apportion(steps, len("\n".join(steps)) + 1) == tuple(len(step) + 1 for step in steps)
