"""The parent of workers and what ends it, without workers."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from planner.server.workers.parent import Parent


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_is_told(name: signal.Signals) -> None:
    async def run() -> signal.Signals | None:
        parent = Parent(0, lambda number, end: pytest.fail("nobody is to be started"))
        running = asyncio.ensure_future(parent.run())
        await asyncio.sleep(0)  # so that it listens to signals
        os.kill(os.getpid(), name)
        return await running

    assert asyncio.run(run()) is name
