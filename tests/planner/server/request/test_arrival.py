"""A request's deadline counts from its arrival to when its answer has left."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from planner.server.access.limits import Sizes
from planner.server.access.middleware import Middleware
from planner.server.observing.rolling_metrics import RollingMetrics
from planner.server.request.arrival import Arrival
from search.testing import Clock


def test_whoever_asked_is_told_once_when_the_answer_has_left() -> None:
    clock = Clock()
    arrival, told = Arrival(clock), list[float]()
    clock.now = 2.0
    arrival.then(told.append)
    assert arrival.seconds == 2.0
    clock.now = 3.0
    arrival.left()
    arrival.left()
    assert told == [3.0]


async def test_a_task_finds_its_own() -> None:
    async def one() -> tuple[Arrival, Arrival]:
        begun = Arrival.begin()
        await asyncio.sleep(0)
        return begun, await asyncio.ensure_future(later())

    async def later() -> Arrival:
        return Arrival.now()

    pairs = await asyncio.gather(one(), one())
    assert all(begun is found for begun, found in pairs)
    assert pairs[0][0] is not pairs[1][0]


async def test_what_comes_after_waits_for_the_present_answer_or_for_none() -> None:
    done: list[str] = []
    Arrival.after(lambda: done.append("at once"))
    arrival = Arrival.begin()
    Arrival.after(lambda: done.append("later"))
    before = list(done)
    arrival.left()
    assert (before, done) == (["at once"], ["at once", "later"])


@pytest.mark.parametrize("fails", [False, True])
async def test_the_gate_begins_it_and_ends_it_after_the_answer(fails: bool) -> None:
    actual: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        Arrival.now().then(lambda seconds: actual.append("left"))
        if fails:
            raise ValueError("so")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        actual.append(str(message["type"]))

    scope = {"type": "http", "method": "POST", "path": "/v1/feedback", "headers": [(b"host", b"localhost")]}
    await Middleware(app, Sizes(), RollingMetrics())(scope, receive, send)
    assert actual == ["http.response.start", "http.response.body", "left"]
