"""Work beside requests: bounded, and nobody's fault when it fails."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from planner.server.access.admission import Background
from search.errors import PlannerError

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
