"""Admission: bounds, turns by key, shrinking shares, and clients that leave the queue."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.admission import Admission
from planner.server.refusal import Refusal
from search.errors import ServeError


async def hold(door: Admission, key: str, order: list[str], go: asyncio.Event) -> float:
    async with door.enter(key) as ticket:
        order.append(key)
        await go.wait()
        return ticket.share


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


@pytest.mark.parametrize("wrong", [{"running": 0}, {"waiting": -1}, {"floor": 0.0}, {"floor": 1.5}])
def test_bounds_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ServeError):
        Admission(**wrong)
