"""Memory that is free is given back to the system, from start to close."""

from __future__ import annotations

import asyncio

from planner.server.heap import Heap


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
