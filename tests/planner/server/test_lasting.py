"""Work beside requests begins once and ends when it is closed."""

from __future__ import annotations

import asyncio

from planner.server.lasting import Lasting


async def test_it_runs_once_and_ends_when_closed() -> None:
    begun: list[int] = []
    ended = asyncio.Event()

    async def work(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    lasting = Lasting()
    lasting.start(work(1))
    lasting.start(work(2))
    assert lasting.is_running
    await asyncio.sleep(0)
    assert begun == [1]
    await lasting.close()
    assert ended.is_set()
    assert not lasting.is_running
    await lasting.close()

    lasting.start(work(3))
    await asyncio.sleep(0)
    assert begun == [1, 3]
    await lasting.close()
