"""Work beside requests begins once and ends when it is closed; some of it gives memory back."""

from __future__ import annotations

import asyncio

from planner.server.lasting import Heap, Lasting


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


async def test_it_is_trimmed_again_and_again_until_it_is_closed() -> None:
    called = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    heap = Heap(0.001, lambda: loop.call_soon_threadsafe(called.release))
    heap.start()
    heap.start()  # once is enough
    async with asyncio.timeout(30.0):
        for _ in range(3):
            await called.acquire()
    await heap.close()
    await heap.close()
    await asyncio.sleep(0)
    while not called.locked():
        await called.acquire()
    await asyncio.sleep(0)
    assert called.locked()


async def test_the_c_library_is_asked_where_it_can() -> None:
    heap = Heap(0.001)
    heap.start()
    await heap.close()
