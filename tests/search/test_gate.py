from __future__ import annotations

import asyncio

import pytest

from search.gate import Gate


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_work_enters_in_order_and_never_more_than_the_gate_holds() -> None:
    gate, inside, most, order = Gate(10), 0, 0, []

    async def one(number: int, weight: int) -> None:
        nonlocal inside, most
        async with gate.enter(weight):
            order.append(number)
            inside += weight
            most = max(most, inside)
            await turns(number % 3)
            inside -= weight

    await asyncio.gather(*(one(number, 1 + number % 7) for number in range(40)))
    assert order == list(range(40))
    assert 7 <= most <= 10
    assert gate.has_room
    assert gate.waiting == 0


async def test_what_is_given_back_early_lets_others_in() -> None:
    gate, entered = Gate(4), asyncio.Event()

    async def second() -> None:
        async with gate.enter(2):
            entered.set()

    async with gate.enter(4) as give_back:
        task = asyncio.ensure_future(second())
        await turns()
        assert (gate.waiting, entered.is_set(), gate.has_room) == (1, False, False)
        give_back()
        await turns()
        assert not entered.is_set()
        give_back()
        await turns()
        assert entered.is_set()
        for _ in range(9):  # more than was taken gives nothing
            give_back()
    await task
    async with gate.enter(4):
        assert not gate.has_room


async def test_work_that_is_too_heavy_enters_alone() -> None:
    gate = Gate(2)
    async with gate.enter(9):
        task = asyncio.ensure_future(gate.enter(1).__aenter__())
        await turns()
        assert gate.waiting == 1
    await task


async def test_who_leaves_while_waiting_holds_nobody_up() -> None:
    gate, changes = Gate(2), []
    gate = Gate(2, lambda: changes.append(gate.waiting))
    entered = []

    async def one(name: str, weight: int) -> None:
        async with gate.enter(weight):
            entered.append(name)
            await asyncio.Event().wait()

    holder = asyncio.ensure_future(one("holder", 1))
    await turns()
    heavy, light = asyncio.ensure_future(one("heavy", 2)), asyncio.ensure_future(one("light", 1))
    await turns()
    assert entered == ["holder"]
    heavy.cancel()
    await turns()
    assert entered == ["holder", "light"]
    let_in = asyncio.ensure_future(one("let in", 1))
    await turns()
    holder.cancel()
    light.cancel()
    let_in.cancel()  # in the turn in which it is let in
    await asyncio.gather(holder, heavy, light, let_in, return_exceptions=True)
    async with gate.enter(2):
        assert gate.waiting == 0
    assert changes


def test_a_gate_lets_something_in() -> None:
    with pytest.raises(ValueError, match="a gate lets at least 1 in, got 0"):
        Gate(0)
