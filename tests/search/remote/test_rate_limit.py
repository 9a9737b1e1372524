from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.remote.rate_limit import RateLimit


@given(st.floats(1.0, 6000.0), st.lists(st.floats(0.0, 20.0), min_size=1, max_size=50))
def test_no_minute_has_more_requests_than_the_rate_and_a_burst(rate: float, gaps: list[float]) -> None:
    now = 0.0
    limit = RateLimit(rate, clock=lambda: now)
    starts = []
    for gap in gaps:
        now += gap
        starts.append(now + limit.book())
    for start in starts:
        within = [moment for moment in starts if start <= moment < start + 60.0]
        assert len(within) <= rate * 1.1 + 2
    assert starts == sorted(starts)


def test_without_a_rate_nobody_waits() -> None:
    limit = RateLimit()
    assert [limit.book() for _ in range(100)] == [0.0] * 100


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_is_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be positive, got"):
        RateLimit(rate)
