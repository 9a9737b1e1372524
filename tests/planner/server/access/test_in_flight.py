"""What is in flight: places and samples are counted, never lost, and limited by what a server can take."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.in_flight import InFlight, Place, SampleLimit
from search.engines.protocol import ChildFinished, FinishReason, Request, Sampling
from search.errors import ServeError, UnreachableError
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


def request(n: int) -> Request:
    return Request((1, 2), n, 8, Sampling(), 0)


def child(number: int, reason: str = FinishReason.END) -> ChildFinished:
    return ChildFinished(number, "x", (1,) * 48, (), reason)


def test_a_newcomer_counts_as_what_others_asked_for_first() -> None:
    flights = InFlight({"small": SampleLimit(start=64)})
    for _ in range(100):
        place = flights.place("small")
        place.asked("small", 8)
        place.leave()
    place = flights.place("small")
    assert flights.load("small") == 8
    place.asked("small", 2)
    assert flights.load("small") == 2
    place.ended("small", 2)
    assert flights.load("small") == 1  # it goes on: it may ask again
    place.leave()
    assert flights.load("small") == 0


def test_a_policy_in_this_process_counts_requests() -> None:
    flights = InFlight({"own": 2})
    first, second = flights.place("own"), flights.place("own")
    first.asked("own", 100)
    assert not flights.has_room("own")
    assert list(flights.limits()) == [("own", 2, 2)]
    second.leave()
    assert flights.has_room("own")
    assert flights.has_room("another")
    assert flights.limit("another") is None


def test_times_of_samples_are_told_those_of_cancelled_ones_are_not() -> None:
    clock = Clock()
    limit = SampleLimit(start=4, most=100, clock=clock)
    flights = InFlight({"small": limit}, clock)
    heard: list[int] = []
    flights.then(lambda: heard.append(flights.load("small")))
    for _ in range(30):
        place = flights.place("small")
        asked = request(4)
        place.on_asked("small", asked)
        clock.now += 0.25
        place.on_finished("small", asked, child(0))
        place.on_finished("small", asked, child(1))
        place.on_finished("small", asked, child(2, FinishReason.CANCELLED))
        place.on_ended("small", asked, None)
        place.leave()
    assert limit.limit > 4  # it was used, and grew
    assert heard[-1] == flights.load("small") == 0


def test_a_server_that_takes_no_more_is_asked_less() -> None:
    limit = SampleLimit(start=64)
    flights = InFlight({"small": limit})
    place = flights.place("small")
    asked = request(40)
    place.on_asked("small", asked)
    place.on_ended("small", asked, UnreachableError("429"))
    assert limit.limit == 20
    place.leave()
    assert flights.load("small") == 0


@given(st.lists(st.tuples(st.sampled_from(["in", "ask", "out"]), st.integers(1, 5)), max_size=60))
def test_nothing_is_lost_nor_made(moves: list[tuple[str, int]]) -> None:
    flights = InFlight({"a": SampleLimit(start=8), "b": 3})
    places: list[Place] = []
    for move, n in moves:
        if move == "in":
            places.append(flights.place("a" if n % 2 else "b"))
        elif places and move == "ask":
            place = places[n % len(places)]
            place.on_asked("a", request(n))
        elif places and move == "out":
            places.pop(0).leave()
        assert flights.load("a") >= 0
        assert flights.load("b") == sum(1 for place in places if place.policy == "b")
    for place in places:
        place.leave()
        place.leave()
    assert (flights.load("a"), flights.load("b")) == (0, 0)
