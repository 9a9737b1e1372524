"""Rewards become shares in [0, 1], or the rule that they break is said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.importing.rewards import shares


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6))
def test_logits_keep_their_order(values: list[float]) -> None:
    found = shares(values, logits=True)
    assert isinstance(found, tuple)
    assert all(0.0 <= value <= 1.0 for value in found)
    order = sorted(range(len(values)), key=lambda i: values[i])
    assert [found[i] for i in order] == sorted(found)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ([0.5, math.nan], "a reward is finite"),
        (math.inf, "a reward is finite"),
        ([1.5], "a reward lies in [0, 1] unless rewards are said to be logits"),
        (["0.5"], "a reward is a number"),
        (None, "a reward is a number"),
        ([True], "a reward is a number"),
    ],
)
def test_the_rule_that_is_broken(given: object, rule: str) -> None:
    assert shares(given, logits=False) == rule


def test_shares_stay_as_they_are() -> None:
    assert shares([0, 0.25, 1], logits=False) == (0.0, 0.25, 1.0)
    assert shares(0.25, logits=False) == (0.25,)
    assert shares([], logits=False) == ()
