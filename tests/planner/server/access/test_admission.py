"""Admission: bounds, turns by key, shrinking shares, clients that leave the queue, and work beside them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.admission import Admission, Background
from planner.server.access.in_flight import InFlight, SampleLimit
from planner.server.refusal import Refusal
from search.errors import PlannerError, ServeError
from search.testing import Clock


async def hold(door: Admission, key: str, order: list[str], go: asyncio.Event) -> float:
    async with door.enter(key) as place:
        order.append(key)
        await go.wait()
        return place.share


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_run_and_wait_than_allowed() -> None:
    door, order, go = Admission(running=2, waiting=1), list[str](), asyncio.Event()
    tasks = [asyncio.ensure_future(hold(door, "a", order, go)) for _ in range(3)]
    await settle()
    assert (door.running, door.waiting) == (2, 1)
    with pytest.raises(Refusal) as refused:
        async with door.enter("a"):
            pass
    assert refused.value.status == 429
    assert int(refused.value.headers["Retry-After"]) >= 1
    go.set()
    await asyncio.gather(*tasks)
    assert (door.running, door.waiting) == (0, 0)


async def test_keys_take_turns() -> None:
    door, order = Admission(running=1, waiting=10), list[str]()
    first, go = asyncio.Event(), asyncio.Event()
    go.set()
    tasks = [asyncio.ensure_future(hold(door, "x", order, first))]
    await settle()
    for key in ("a1", "a2", "a3", "b1", "c1"):
        tasks.append(asyncio.ensure_future(hold_as(door, key, order, go)))
        await settle()
    first.set()
    await asyncio.gather(*tasks)
    assert order == ["x", "a1", "b1", "c1", "a2", "a3"]


async def hold_as(door: Admission, name: str, order: list[str], go: asyncio.Event) -> None:
    async with door.enter(name[0]):
        order.append(name)
        await go.wait()


async def test_shares_fall_smoothly_to_the_floor() -> None:
    door, order, go = Admission(running=1, waiting=4, floor=0.2), list[str](), asyncio.Event()
    tasks = [asyncio.ensure_future(hold(door, "a", order, go)) for _ in range(5)]
    await settle()
    assert door.share == pytest.approx(0.2)
    go.set()
    shares = await asyncio.gather(*tasks)
    assert shares == pytest.approx([1.0, 0.4, 0.6, 0.8, 1.0])


async def test_a_client_that_leaves_the_queue_leaves_its_place() -> None:
    door, order, go = Admission(running=1, waiting=2), list[str](), asyncio.Event()
    running = asyncio.ensure_future(hold(door, "a", order, go))
    await settle()
    waiting = asyncio.ensure_future(hold(door, "b", order, go))
    await settle()
    waiting.cancel()
    await settle()
    assert (door.running, door.waiting) == (1, 0)
    # cancelled in the very turn in which its place came
    last = asyncio.ensure_future(hold(door, "c", order, go))
    await settle()
    go.set()
    await running
    last.cancel()
    await settle()
    assert (door.running, door.waiting) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), st.integers(1, 3))
def test_places_are_neither_lost_nor_made(moves: list[tuple[str, bool]], places: int) -> None:
    async def play() -> None:
        door, order = Admission(running=places, waiting=5), list[str]()
        held: list[tuple[asyncio.Task[float], asyncio.Event]] = []
        for key, leaves in moves:
            if leaves and held:
                task, go = held.pop(0)
                task.cancel() if key == "a" else go.set()
            else:
                go = asyncio.Event()
                held.append((asyncio.ensure_future(hold(door, key, order, go)), go))
            await settle()
            assert 0 <= door.running <= places
            assert door.waiting <= 5
            assert door.waiting == 0 or door.running == places
        async with AsyncExitStack():
            for _, go in held:
                go.set()
            await asyncio.gather(*(task for task, _ in held), return_exceptions=True)
        await settle()
        assert (door.running, door.waiting) == (0, 0)

    asyncio.run(play())


@pytest.mark.parametrize(
    "wrong", [{"running": 0}, {"waiting": -1}, {"floor": 0.0}, {"floor": 1.5}, {"ageing": -1.0}]
)
def test_bounds_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ServeError):
        Admission(**wrong)


async def order_of(
    door: Admission, clock: Clock, waiting: list[tuple[str, float | None, float]], until: float
) -> list[str]:
    """In which order requests (name, seconds to its deadline, when it arrives) get the only place."""
    order, first, go = list[str](), asyncio.Event(), asyncio.Event()
    go.set()

    async def one(name: str, within: float | None) -> None:
        async with door.enter(name[0], within):
            order.append(name)

    async def held() -> None:
        async with door.enter("x"):
            await first.wait()

    tasks = [asyncio.ensure_future(held())]
    await settle()
    for name, within, at in waiting:
        clock.now = at
        tasks.append(asyncio.ensure_future(one(name, within)))
        await settle()
    clock.now = until
    first.set()
    await asyncio.gather(*tasks)
    assert (door.running, door.waiting) == (0, 0)
    return order


async def test_requests_with_a_deadline_go_first_the_soonest_before() -> None:
    clock = Clock()
    door = Admission(running=1, waiting=9, ageing=5.0, clock=clock)
    waiting = [("a1", None, 0.0), ("a2", 60.0, 0.1), ("a3", None, 0.2), ("a4", 30.0, 0.3)]
    assert await order_of(door, clock, waiting, 1.0) == ["a4", "a2", "a1", "a3"]


async def test_one_that_has_waited_long_goes_before_deadlines_that_come_later() -> None:
    clock = Clock()
    door = Admission(running=1, waiting=9, ageing=5.0, clock=clock)
    waiting = [("a1", None, 0.0), ("a2", 60.0, 4.0), ("a3", 60.0, 5.0), ("a4", None, 5.5)]
    assert await order_of(door, clock, waiting, 6.0) == ["a1", "a2", "a3", "a4"]


async def test_keys_take_turns_among_deadlines_too() -> None:
    clock = Clock()
    door = Admission(running=1, waiting=9, ageing=5.0, clock=clock)
    waiting = [("a1", 60.0, 0.0), ("a2", 60.0, 0.1), ("b1", None, 0.2), ("c1", 60.0, 0.3)]
    assert await order_of(door, clock, waiting, 1.0) == ["a1", "c1", "a2", "b1"]
    aged = [("a1", 60.0, 10.0), ("a2", 60.0, 10.1), ("b1", None, 10.2), ("a3", 60.0, 10.3)]
    assert await order_of(door, clock, aged, 20.0) == ["a1", "b1", "a2", "a3"]


@given(st.lists(st.sampled_from([1.0, 30.0, None]), min_size=1, max_size=40))
def test_none_starves_however_many_deadlines_come(withins: list[float | None]) -> None:
    """One place, a newcomer with a deadline at every second: whoever has waited five seconds is served
    within as many places as there were requests before."""

    async def play() -> None:
        clock = Clock()
        door = Admission(running=1, waiting=200, ageing=5.0, clock=clock)
        first, served = asyncio.Event(), list[int]()

        async def one(number: int, within: float | None) -> None:
            async with door.enter("a", within):
                served.append(number)
                clock.now += 1.0
                if number < 100:
                    tasks.append(asyncio.ensure_future(one(number + len(withins) + 1, 30.0)))
                    await settle()

        async def held() -> None:
            async with door.enter("a"):
                await first.wait()

        tasks = [asyncio.ensure_future(held())]
        await settle()
        for number, within in enumerate(withins):
            tasks.append(asyncio.ensure_future(one(number, within)))
        await settle()
        first.set()
        while not all(task.done() for task in tasks):
            await asyncio.gather(*tasks)
        for number in range(len(withins)):
            assert served.index(number) <= 5 + 2 * len(withins)

    asyncio.run(play())


async def ask(
    door: Admission, name: str, policy: str, samples: int, order: list[str], go: asyncio.Event
) -> None:
    async with door.enter(name[0], None, policy) as place:
        place.asked(policy, samples)
        order.append(name)
        await go.wait()


async def test_64_clients_who_vote_of_8_all_run_at_once() -> None:
    flights = InFlight({"small": SampleLimit()})
    door, order, go = Admission(running=1024, flights=flights), list[str](), asyncio.Event()
    tasks = [asyncio.ensure_future(ask(door, f"a{n}", "small", 8, order, go)) for n in range(64)]
    await settle()
    assert (door.running, door.waiting, flights.load("small")) == (64, 0, 512)
    assert door.must_wait("small")
    go.set()
    await asyncio.gather(*tasks)
    assert (door.running, flights.load("small")) == (0, 0)


async def test_samples_in_flight_keep_others_out_but_not_those_of_another_policy() -> None:
    flights = InFlight({"small": SampleLimit(start=8), "large": SampleLimit(start=8)})
    door, order = Admission(running=99, waiting=9, flights=flights), list[str]()
    first, go = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.ensure_future(ask(door, "a1", "small", 8, order, first))]
    await settle()
    for name, policy in (("a2", "small"), ("b1", "small"), ("a3", "large")):
        tasks.append(asyncio.ensure_future(ask(door, name, policy, 8, order, go)))
        await settle()
    assert order == ["a1", "a3"]
    assert (door.running, door.waiting) == (2, 2)
    first.set()
    await settle()
    assert order == ["a1", "a3", "a2", "b1"]
    go.set()
    await asyncio.gather(*tasks)
    assert (door.running, door.waiting, flights.load("small")) == (0, 0, 0)


async def test_room_that_samples_leave_is_used_at_once_by_the_soonest_deadline() -> None:
    flights = InFlight({"small": SampleLimit(start=8)})
    door, order, go = Admission(running=99, waiting=9, flights=flights), list[str](), asyncio.Event()

    async def wait(name: str, within: float | None) -> None:
        async with door.enter("a", within, "small"):
            order.append(name)
            await go.wait()

    async with door.enter("a", None, "small") as place:
        place.asked("small", 8)
        tasks = [
            asyncio.ensure_future(wait(*each)) for each in (("plain", None), ("late", 60.0), ("soon", 30.0))
        ]
        await settle()
        assert order == []
        place.ended("small", 1)
        await settle()
        assert order == [
            "soon"
        ]  # it counts as two samples until it asks: the mean of what others asked for first
        go.set()
        await asyncio.gather(*tasks)
    assert order == ["soon", "late", "plain"]


async def test_questions_of_one_call_leave_room_for_others() -> None:
    assert Admission(running=32, waiting=128).turns == 8
    assert Admission(running=1024, waiting=128, flights=InFlight({"own": 32})).turns == 8
    assert Admission(running=1024, waiting=128, flights=InFlight({"small": SampleLimit()})).turns == 64
    assert Admission(running=4, waiting=1).turns == 1


WHOSE: ContextVar[str] = ContextVar("whose", default="nobody")


def test_work_runs_after_and_apart_from_who_gave_it() -> None:
    seen: list[str] = []

    async def work() -> None:
        seen.append(WHOSE.get())

    async def run() -> None:
        WHOSE.set("a request")
        background = Background()
        assert background.submit(work)
        assert seen == []
        await background.drained()

    asyncio.run(run())
    assert seen == ["nobody"]


def test_beyond_its_bounds_work_is_dropped_and_counted() -> None:
    async def run() -> Background:
        background = Background(running=1, waiting=1)
        never = asyncio.Event()

        async def work() -> None:
            await never.wait()

        assert [background.submit(work) for _ in range(4)] == [True, True, False, False]
        await background.close()
        return background

    background = asyncio.run(run())
    assert (background.begun, background.dropped, background.failed) == (2, 2, 0)


def test_work_that_fails_is_counted() -> None:
    async def run() -> Background:
        background = Background()

        async def work() -> None:
            raise PlannerError("no policy answers, got none")

        background.submit(work)
        await background.drained()
        return background

    assert asyncio.run(run()).failed == 1
