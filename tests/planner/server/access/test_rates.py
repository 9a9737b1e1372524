"""Rates per key, on a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.keys import ANYONE, Key
from planner.server.access.limits import Rates
from planner.server.refusal import Refusal

HASH = "a" * 64


def test_a_key_without_rates_is_never_stopped() -> None:
    rates = Rates(lambda: 0.0)
    for _ in range(1000):
        rates.enter(ANYONE)
        rates.spent(ANYONE, 10**9)


def test_requests_come_back_with_time() -> None:
    now = [0.0]
    rates, key = Rates(lambda: now[0]), Key("a", HASH, requests_per_minute=2)
    other = Key("b", HASH, requests_per_minute=2)
    rates.enter(key)
    rates.enter(key)
    with pytest.raises(Refusal, match="2 times a minute") as refused:
        rates.enter(key)
    assert refused.value.status == 429
    assert refused.value.headers["Retry-After"] == "30"
    rates.enter(other)
    now[0] += 30.0
    rates.enter(key)


def test_tokens_are_charged_after_the_work() -> None:
    now = [0.0]
    rates, key = Rates(lambda: now[0]), Key("a", HASH, tokens_per_minute=600)
    rates.enter(key)
    rates.spent(key, 1200)
    with pytest.raises(Refusal, match="600 tokens") as refused:
        rates.enter(key)
    assert refused.value.retry_after == pytest.approx(60.1)
    now[0] += 60.2
    rates.enter(key)


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=200), st.integers(1, 100))
def test_never_more_than_a_minutes_worth_beyond_the_rate(gaps: list[float], per_minute: int) -> None:
    now, passed = [0.0], 0
    rates, key = Rates(lambda: now[0]), Key("a", HASH, requests_per_minute=per_minute)
    for gap in gaps:
        now[0] += gap
        try:
            rates.enter(key)
            passed += 1
        except Refusal:
            pass
    assert passed <= per_minute + now[0] * per_minute / 60 + 1e-6
