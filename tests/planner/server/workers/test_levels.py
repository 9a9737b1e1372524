"""Buckets that processes share: one limit for all of them."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.keys import Key
from planner.server.access.limits import Amount, OwnLevels, Rates, Spending
from planner.server.refusal import Refusal
from planner.server.workers.levels import Descriptor, SharedLevels

HASH = "a" * 64


@pytest.fixture
def two() -> Iterator[tuple[SharedLevels, SharedLevels]]:
    """The same buckets, mapped twice."""
    with tempfile.TemporaryFile() as file:
        SharedLevels.make(file.fileno(), 64)
        both = SharedLevels(file.fileno(), 64), SharedLevels(file.fileno(), 64)
        yield both
        for each in both:
            each.close()


def test_a_key_has_one_rate_whichever_process_it_asks(two: tuple[SharedLevels, SharedLevels]) -> None:
    now = [100.0]
    first, second = (Rates(lambda: now[0], levels) for levels in two)
    key, other = Key("a", HASH, requests_per_minute=3), Key("b", HASH, requests_per_minute=3)
    first.enter(key)
    second.enter(key)
    first.enter(key)
    with pytest.raises(Refusal, match="3 times a minute"):
        second.enter(key)
    second.enter(other)
    now[0] += 20.0
    second.enter(key)
    with pytest.raises(Refusal):
        first.enter(key)


def test_tokens_are_shared_too(two: tuple[SharedLevels, SharedLevels]) -> None:
    first, second = (Rates(lambda: 100.0, levels) for levels in two)
    key = Key("a", HASH, tokens_per_minute=600, requests_per_minute=100)
    first.enter(key)
    first.spent(key, 1200)
    with pytest.raises(Refusal, match="600 tokens") as refused:
        second.enter(key)
    assert refused.value.retry_after == pytest.approx(60.1)


def test_a_key_whose_rate_has_changed_begins_anew(two: tuple[SharedLevels, SharedLevels]) -> None:
    first, second = (Rates(lambda: 100.0, levels) for levels in two)
    first.enter(Key("a", HASH, requests_per_minute=1))
    changed = Key("a", HASH, requests_per_minute=2)
    second.enter(changed)
    first.enter(changed)
    with pytest.raises(Refusal):
        second.enter(changed)


_MOVES = st.lists(
    st.tuples(st.integers(0, 90), st.booleans(), st.floats(0.0, 30.0), st.sampled_from([0.5, 2.0])),
    max_size=150,
)


@given(_MOVES)
def test_shared_buckets_are_like_ones_own(moves: list[tuple[int, bool, float, float]]) -> None:
    """Also beyond the 64 that there is room for."""
    with tempfile.TemporaryFile() as file:
        SharedLevels.make(file.fileno(), 64)
        shared, own, now = SharedLevels(file.fileno(), 64), OwnLevels(), 0.0
        for name, spends, gap, rate in moves:
            now += gap
            need, amount = (float("-inf"), 7.5) if spends else (1.0, 1.0)
            taken = shared.take(f"k{name}", rate, now, need=need, amount=amount)
            assert taken == own.take(f"k{name}", rate, now, need=need, amount=amount)
        shared.close()


def test_a_days_limit_is_shared(two: tuple[SharedLevels, SharedLevels]) -> None:
    now = [86_400.0 * 10 + 60.0]
    first, second = (Spending(lambda: now[0], levels) for levels in two)
    key, one = Key("a", HASH, tokens_per_day=100, usd_per_day=1.0), Amount(30, 0.25)
    held = [each.hold(key, one, one) for each in (first, second, first)]
    with pytest.raises(Refusal, match="whose other requests") as refused:
        second.hold(key, one, one)
    assert (refused.value.headers["Retry-After"], refused.value.is_final) == ("1", False)
    held[0].settle(10, 0.125)
    held[1].settle(30, 0.25)
    assert first.today("a") == second.today("a") == Amount(40, 0.375)
    second.seed({"a": Amount(20, 0.5)})  # read from a log by a worker that has started again
    assert first.today("a") == Amount(40, 0.5)
    now[0] += 86_400.0
    assert second.today("a") == Amount(0, 0.0)


def _spend(file: Descriptor, told: Connection) -> None:
    """Another process: as many tokens of a key as it gets, ten at a time."""
    levels = SharedLevels(file.number, 64)
    spending, got = Spending(lambda: 60.0, levels), 0
    try:
        while True:
            spending.hold(Key("a", HASH, tokens_per_day=2003), Amount(10), Amount(10)).settle(10, None)
            got += 10
    except Refusal as refusal:
        told.send((got, refusal.is_final))
    levels.close()


def test_processes_share_a_days_limit_exactly() -> None:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryFile() as file:
        SharedLevels.make(file.fileno(), 64)
        ends = [context.Pipe(duplex=False) for _ in range(2)]
        processes = [
            context.Process(target=_spend, args=(Descriptor(file.fileno()), told)) for _, told in ends
        ]
        for process in processes:
            process.start()
        got = [heard.recv() for heard, _ in ends]
        for process in processes:
            process.join()
        levels = SharedLevels(file.fileno(), 64)
        assert Spending(lambda: 60.0, levels).today("a") == Amount(2000, 0.0)
        levels.close()
    assert sum(tokens for tokens, _ in got) == 2000
