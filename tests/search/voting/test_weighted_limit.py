from __future__ import annotations

import asyncio

import pytest

from search.voting.weighted_limit import WeightedLimit


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_work_enters_in_order_and_never_more_than_the_gate_holds() -> None:
    limit, inside, most, order = WeightedLimit(10), 0, 0, []

    async def one(number: int, weight: int) -> None:
        nonlocal inside, most
        async with limit.enter(weight):
            order.append(number)
            inside += weight
            most = max(most, inside)
            await turns(number % 3)
            inside -= weight

    await asyncio.gather(*(one(number, 1 + number % 7) for number in range(40)))
    assert order == list(range(40))
    assert 7 <= most <= 10
    assert limit.has_room
    assert limit.waiting == 0


async def test_what_is_given_back_early_lets_others_in() -> None:
    limit, entered = WeightedLimit(4), asyncio.Event()

    async def second() -> None:
        async with limit.enter(2):
            entered.set()

    async with limit.enter(4) as give_back:
        task = asyncio.ensure_future(second())
        await turns()
        assert (limit.waiting, entered.is_set(), limit.has_room) == (1, False, False)
        give_back()
        await turns()
        assert not entered.is_set()
        give_back()
        await turns()
        assert entered.is_set()
        for _ in range(9):  # more than was taken gives nothing
            give_back()
    await task
    async with limit.enter(4):
        assert not limit.has_room


async def test_work_that_is_too_heavy_enters_alone() -> None:
    limit = WeightedLimit(2)
    async with limit.enter(9):
        task = asyncio.ensure_future(limit.enter(1).__aenter__())
        await turns()
        assert limit.waiting == 1
    await task


async def test_who_leaves_while_waiting_holds_nobody_up() -> None:
    limit, changes = WeightedLimit(2), []
    limit = WeightedLimit(2, lambda: changes.append(limit.waiting))
    entered = []

    async def one(name: str, weight: int) -> None:
        async with limit.enter(weight):
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
    async with limit.enter(2):
        assert limit.waiting == 0
    assert changes


def test_a_gate_lets_something_in() -> None:
    with pytest.raises(ValueError, match="a limit lets at least 1 in, got 0"):
        WeightedLimit(0)
