"""The limit of samples, before servers that are simulated: time passes when the simulation says so."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.sample_limit import SampleLimit
from search.errors import ServeError
from search.testing import Clock


def flood(
    limit: SampleLimit, clock: Clock, seconds: Callable[[int], float], until: float, clients: int = 10_000
) -> int:
    """So many clients, as far as the limit lets them, before a server whose samples take ``seconds``, by how
    many are in flight. How many were in flight at the end."""
    ends: list[tuple[float, float]] = []  # when, and since when
    end = clock.now + until
    while clock.now < end:
        while len(ends) < min(limit.limit, clients):
            limit.seen(len(ends) + 1)
            heapq.heappush(ends, (clock.now + seconds(len(ends) + 1), clock.now))
        clock.now, since = heapq.heappop(ends)
        limit.done(clock.now - since, 48)
    return len(ends) + 1


def idle(in_flight: int) -> float:
    """A server that is never busy."""
    return 0.25


def slots(count: int) -> Callable[[int], float]:
    """A server that works on so many at a time, and lets the others wait."""
    return lambda in_flight: 0.25 * max(1.0, in_flight / count)


def batching(in_flight: int) -> float:
    """A server that batches: four times slower at 256 than alone, with 64 times the rate, then no faster."""
    return 0.25 * (1.0 + 3.0 * min(in_flight, 256) / 256) * max(1.0, in_flight / 256)


def test_an_idle_server_is_never_held_back() -> None:
    clock = Clock()
    limit = SampleLimit(start=512, most=1024, clock=clock)
    assert flood(limit, clock, idle, 10.0, clients=512) == 512
    assert limit.limit >= 512
    assert flood(limit, clock, idle, 20.0) == 1024


@pytest.mark.parametrize("count", [16, 64, 200])
def test_a_server_with_slots_gets_about_twice_as_many(count: int) -> None:
    clock = Clock()
    limit = SampleLimit(start=512, most=1024, clock=clock)
    flood(limit, clock, slots(count), 20.0, clients=count)  # an ordinary morning
    flood(limit, clock, slots(count), 20_000.0 / count)
    assert 1.5 * count <= limit.limit <= 3.0 * count


def test_a_server_that_batches_is_used_to_the_full() -> None:
    clock = Clock()
    limit = SampleLimit(start=64, most=4096, clock=clock)
    flood(limit, clock, batching, 20.0, clients=1)  # one client first: four times faster than the full rate
    flood(limit, clock, batching, 200.0)
    assert 256 <= limit.limit <= 1024


def test_a_server_that_has_become_slower_is_known_again() -> None:
    clock = Clock()
    limit = SampleLimit(start=128, least=2, most=256, clock=clock)
    flood(limit, clock, slots(40), 20.0, clients=40)
    flood(limit, clock, slots(40), 60.0)
    before = limit.limit
    flood(limit, clock, slots(4), 900.0)
    slow = limit.limit
    flood(limit, clock, slots(40), 600.0)
    assert slow < before / 2 < limit.limit


def test_a_light_load_tells_nothing_against_a_server() -> None:
    clock = Clock()
    limit = SampleLimit(start=512, most=1024, clock=clock)
    for _ in range(50):  # long answers and short ones, two at a time
        flood(limit, clock, lambda _: 0.05, 1.5, clients=2)
        flood(limit, clock, lambda _: 0.09, 1.5, clients=2)
    assert limit.limit == 512


def test_refusals_halve_once_a_period() -> None:
    clock = Clock()
    limit = SampleLimit(start=512, most=1024, clock=clock)
    limit.seen(100)
    for _ in range(10):
        limit.refused()
    assert limit.limit == 50
    flood(limit, clock, idle, 3.0, clients=10)
    limit.seen(40)
    limit.refused()
    assert limit.limit == 20
    flood(limit, clock, idle, 60.0, clients=200)
    assert limit.limit >= 200


@given(
    st.integers(1, 64),
    st.lists(
        st.one_of(
            st.tuples(st.just("done"), st.floats(0.0, 1e4), st.integers(0, 10**6)),
            st.tuples(st.just("seen"), st.integers(0, 10**6), st.just(0)),
            st.tuples(st.just("refused"), st.just(0), st.just(0)),
        ),
        max_size=300,
    ),
)
def test_it_never_leaves_its_bounds(start: int, moves: list[tuple[str, float, int]]) -> None:
    clock = Clock()
    limit = SampleLimit(start=start, least=4, most=64, clock=clock)
    for kind, value, tokens in moves:
        clock.now += 0.1
        if kind == "done":
            limit.done(value, tokens)
        elif kind == "seen":
            limit.seen(int(value))
        else:
            limit.refused()
        assert min(4, start) <= limit.limit <= 64


@pytest.mark.parametrize("wrong", [{"start": 0}, {"start": 5, "most": 4}, {"least": 0}])
def test_bounds_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ServeError):
        SampleLimit(**wrong)
