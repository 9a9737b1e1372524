"""What is in flight: places and samples are counted, and never lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.in_flight import InFlight, Place
from planner.server.access.sample_limit import SampleLimit
from search.engines.protocol import ChildFinished, FinishReason, Request, Sampling
from search.errors import UnreachableError
from search.testing import Clock


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
        timer, asked = place.timer("small"), request(4)
        timer.asked(asked)
        clock.now += 0.25
        timer.finished(asked, child(0))
        timer.finished(asked, child(1))
        timer.finished(asked, child(2, FinishReason.CANCELLED))
        timer.ended(asked, None)
        place.leave()
    assert limit.limit > 4  # it was used, and grew
    assert heard[-1] == flights.load("small") == 0


def test_a_server_that_takes_no_more_is_asked_less() -> None:
    limit = SampleLimit(start=64)
    flights = InFlight({"small": limit})
    place = flights.place("small")
    timer, asked = place.timer("small"), request(40)
    timer.asked(asked)
    timer.ended(asked, UnreachableError("429"))
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
            place.timer("a").asked(request(n))
        elif places and move == "out":
            places.pop(0).leave()
        assert flights.load("a") >= 0
        assert flights.load("b") == sum(1 for place in places if place.policy == "b")
    for place in places:
        place.leave()
        place.leave()
    assert (flights.load("a"), flights.load("b")) == (0, 0)
