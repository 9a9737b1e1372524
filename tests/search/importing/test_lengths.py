"""Estimated tokens, and counts spread over steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.importing.lengths import CHARACTERS_PER_TOKEN, estimated_tokens, spread


@given(st.text())
def test_an_estimate_grows_with_the_text(text: str) -> None:
    assert estimated_tokens(text) >= max(1, len(text) / CHARACTERS_PER_TOKEN)
    assert estimated_tokens(text + "x") >= estimated_tokens(text)


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_nothing_is_lost_when_spread(total: int, weights: list[float]) -> None:
    parts = spread(total, weights)
    assert sum(parts) == total
    assert len(parts) == len(weights)
    assert min(parts) >= 0
    whole = sum(weights)
    if whole > 1e-6:
        assert all(
            abs(n - total * w / whole) <= 1 + 1e-6 * total for n, w in zip(parts, weights, strict=True)
        )


@pytest.mark.parametrize(("total", "weights"), [(-1, [1.0]), (1, []), (1, [-1.0])])
def test_a_total_is_spread_over_weights(total: int, weights: list[float]) -> None:
    with pytest.raises(ValueError, match="over weights from 0, got"):
        spread(total, weights)
