"""Limits of keys: rates that refill, and days that are held before the work and settled after it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.keys import ANYONE, Key
from planner.server.access.limits import Amount, Held, Rates, Spending, check_limits
from planner.server.refusal import Refusal
from search.budget import UNLIMITED, Budget, Prices
from search.errors import ServeError

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


NOON = 86_400.0 * 20_000 + 43_200.0


def test_a_key_without_limits_is_counted_and_never_stopped() -> None:
    spending, key = Spending(lambda: NOON), Key("a", HASH)
    for _ in range(3):
        held = spending.hold(key, Amount(10**9, 1e9), Amount(math.inf, math.inf))
        assert held.cap == UNLIMITED
        held.settle(10**9, 0.5)
    assert spending.today("a") == Amount(3 * 10**9, 1.5)
    assert spending.hold(ANYONE, Amount(), Amount()).cap == UNLIMITED


def test_a_budget_is_cut_to_what_is_left() -> None:
    spending, key = Spending(lambda: NOON), Key("a", HASH, tokens_per_day=100)
    spending.hold(key, Amount(10), Amount(70)).settle(60, None)
    held = spending.hold(key, Amount(10), Amount(70))
    assert held.cap == Budget(tokens=40)
    held.settle(35, None)
    with pytest.raises(Refusal, match=r"100 tokens a day \(UTC\), got 'a' with 5 left") as refused:
        spending.hold(key, Amount(10), Amount(70))
    headers = {"Retry-After": "43200", "x-should-retry": "false"}
    assert (refused.value.status, refused.value.code) == (429, "spend_limit")
    assert refused.value.headers == headers


def test_a_refusal_in_money_gives_the_tokens_back() -> None:
    spending, key = Spending(lambda: NOON), Key("a", HASH, tokens_per_day=100, usd_per_day=1.0)
    with pytest.raises(Refusal, match="1 US dollars a day"):
        spending.hold(key, Amount(10, 2.0), Amount(100, 2.0))
    assert spending.hold(key, Amount(10, 0.5), Amount(100, 0.5)).cap == Budget(tokens=100, usd=0.5)


def test_what_nobody_knows_the_price_of_costs_all_that_was_held() -> None:
    spending, key = Spending(lambda: NOON), Key("a", HASH, usd_per_day=1.0)
    held = spending.hold(key, Amount(1, 0.25), Amount(1, 0.25))
    held.settle(7, None)
    held.settle(7, None)  # once
    spending.hold(key, Amount(1, 0.25), Amount(1, 0.25)).settle(0, None)  # never sent
    assert spending.today("a") == Amount(7, 0.25)


def test_without_a_budget_others_find_something_too() -> None:
    spending, key = Spending(lambda: NOON), Key("a", HASH, tokens_per_day=8000)
    without = Amount(math.inf, math.inf)
    assert [spending.hold(key, Amount(10), without).cap.tokens for _ in range(2)] == [1000, 875]


def test_a_day_ends_at_midnight_and_a_request_belongs_to_the_one_it_came_on() -> None:
    now = [NOON]
    spending, key = Spending(lambda: now[0]), Key("a", HASH, tokens_per_day=100)
    held = spending.hold(key, Amount(100), Amount(100))
    now[0] += 43_200.0
    fresh = spending.hold(key, Amount(100), Amount(100))
    held.settle(100, None)
    assert spending.today("a") == Amount()
    fresh.settle(90, None)
    assert spending.today("a") == Amount(90)
    assert spending.since == 86_400.0 * 20_001


def test_a_limit_in_money_needs_prices() -> None:
    key = Key("a", HASH, usd_per_day=1.0)
    check_limits([Key("b", HASH, tokens_per_day=1)], None)
    check_limits([key], Prices(1.0, 1.0))
    with pytest.raises(ServeError, match="needs the server's prices, got none for 'a'"):
        check_limits([key], None)


_MOVES = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(1, 60),
        st.one_of(st.integers(0, 200), st.just(math.inf)),
        st.floats(0.0, 1.0),
        st.floats(0.0, 20_000.0),
    ),
    max_size=120,
)


@given(_MOVES, st.integers(1, 300), st.floats(0.001, 0.3))
def test_no_limit_is_ever_passed(
    moves: list[tuple[bool, int, float, float, float]], tokens: int, usd: float
) -> None:
    """Requests come and end in any order, also over midnight; each spends within what it was allowed."""
    now, running = [NOON], list[tuple[int, Held]]()
    spending, key = Spending(lambda: now[0]), Key("a", HASH, tokens_per_day=tokens, usd_per_day=usd)
    spent: dict[int, list[float]] = {}
    for comes, least, more, share, gap in moves:
        now[0] += gap
        if comes:
            try:
                held = spending.hold(
                    key, Amount(least, least / 1000), Amount(least + more, (least + more) / 1000)
                )
            except Refusal:
                continue
            running.append((int(now[0] // 86_400.0), held))
        elif running:
            day, held = running.pop(int(share * (len(running) - 1)))
            cap = held.cap
            took = int(share * (cap.tokens or 0)), share * (cap.usd or 0.0)
            held.settle(*took)
            total = spent.setdefault(day, [0.0, 0.0])
            total[0] += took[0]
            total[1] += took[1]
    open_now = {day for day, _ in running}
    for day in open_now | spent.keys():
        held_then = [held.cap for at, held in running if at == day]
        total = spent.get(day, [0.0, 0.0])
        assert total[0] + sum(cap.tokens or 0 for cap in held_then) <= tokens
        assert total[1] + sum(cap.usd or 0.0 for cap in held_then) <= usd * (1 + 1e-9)
    today = spent.get(int(now[0] // 86_400.0), [0.0, 0.0])
    assert spending.today("a").tokens == today[0]
    assert spending.today("a").usd == pytest.approx(today[1])
