"""Streams begin when there is something to say: until then they are refused as plain requests are."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import openai
import pytest
from houses import QUESTION, House, held, until, writes
from stuck import Dead, Mute

from planner.server.access.admission import Admission
from planner.server.rules import Rules, Sizes
from planner.server.service import Service
from search.engines.protocol import Event, Request
from search.engines.scripted import ScriptedEngine
from search.errors import UnreachableError

Make = Callable[..., Service]
Serve = Callable[[Service], House]

SIZES = {"small": 1_000_000, "large": 4_000_000}
FORCED = "planner/majority(n=8)"


def asked(model: str = FORCED, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": QUESTION}], "seed": 1, **fields}


def both(house: House, **fields: Any) -> tuple[httpx.Response, httpx.Response]:
    """The same request, plain and as a stream."""
    url = f"{house.v1}/chat/completions"
    plain, stream = (
        httpx.post(url, json=asked(**fields, stream=each), timeout=60.0) for each in (False, True)
    )
    return plain, stream


REFUSED: list[dict[str, Any]] = [
    {"model": "nobody"},
    {"model": "planner/best_of_n(n=2, score=last)", "prm": "none"},
    {"budget": {"usd": 1.0}},
    {"budget": {"seconds": 0.001}},
    {"domain": "poetry"},
    {"policy": "nobody"},
    {"n": 99},
    {"messages": [{"role": "user", "content": "1 + 1? " * 3000}]},
    {"messages": [{"role": "system", "content": "be brief"}]},
    {"tools": [{"type": "function", "function": {"name": "f"}}]},
]


@pytest.mark.parametrize("fields", REFUSED, ids=lambda fields: next(iter(fields)))
def test_a_stream_is_refused_as_a_plain_request_is(house: House, fields: dict[str, Any]) -> None:
    plain, stream = both(house, **fields)
    assert plain.status_code >= 400
    assert stream.headers["content-type"] == "application/json"
    assert (stream.status_code, stream.json()) == (plain.status_code, plain.json())


def test_a_stream_fails_as_a_plain_request_does(service_of: Make, serving: Serve) -> None:
    house = serving(service_of({name: Dead(name, size) for name, size in SIZES.items()}))
    plain, stream = both(house)
    assert (stream.status_code, stream.json()) == (plain.status_code, plain.json())
    assert plain.status_code == 502


def test_a_full_queue_refuses_streams_with_their_status(service_of: Make, serving: Serve) -> None:
    service = service_of(
        {name: Mute(name, size) for name, size in SIZES.items()}, admission=Admission(running=1, waiting=0)
    )
    house = serving(service)
    with held(house, asked()):
        plain, stream = both(house)
    assert (plain.status_code, stream.status_code) == (429, 429)
    assert int(stream.headers["retry-after"]) >= 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_is_a_504_that_is_not_asked_again(service_of: Make, serving: Serve, stream: bool) -> None:
    """Idle or busy, plain or as a stream: and the official client, which retries by itself, does not."""
    service = service_of(
        {name: Mute(name, size) for name, size in SIZES.items()}, admission=Admission(running=1, waiting=4)
    )
    house = serving(service)
    url = f"{house.v1}/chat/completions"
    idle = httpx.post(url, json=asked(stream=stream, budget={"seconds": 0.2}), timeout=60.0)
    client = openai.OpenAI(base_url=house.v1, api_key="none", max_retries=5)
    with held(house, asked()):
        busy = httpx.post(url, json=asked(stream=stream, budget={"seconds": 0.2}), timeout=60.0)
        for found in (idle, busy):
            assert (found.status_code, found.json()["error"]["code"]) == (504, "deadline")
            assert found.json()["error"]["type"] == "timeout_error"
            assert found.headers["x-should-retry"] == "false"
        until(lambda: service.rolling.counts["failed"] == 2)
        with client as ask, pytest.raises(openai.InternalServerError) as late:
            ask.chat.completions.create(**asked(stream=stream, extra_body={"budget": {"seconds": 0.2}}))
        assert late.value.status_code == 504
        until(lambda: service.rolling.counts["failed"] == 3)  # asked once


class Away(Mute):
    """Cannot be reached at first, and writes nothing when it is asked again."""

    asked = 0

    def submit(self, request: Request) -> AsyncIterator[Event]:
        self.asked += 1
        return self.away() if self.asked == 1 else super().submit(request)

    async def away(self) -> AsyncIterator[Event]:
        raise UnreachableError("a server must take work, got 503")
        yield  # an async generator


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_after_a_failure_names_it(service_of: Make, serving: Serve, stream: bool) -> None:
    house = serving(service_of({name: Away(name, size) for name, size in SIZES.items()}))
    url = f"{house.v1}/chat/completions"
    found = httpx.post(url, json=asked(stream=stream, budget={"seconds": 0.5}), timeout=60.0)
    assert (found.status_code, found.json()["error"]["code"]) == (504, "deadline")
    words = "got none, the policy's backend failed: a server must take work, got 503"
    assert found.json()["error"]["message"].endswith(words)


class Late(ScriptedEngine):
    """Writes when it is told to."""

    def __init__(self, name: str, parameters: int) -> None:
        super().__init__(writes, name=name, parameters=parameters, context=4096)
        self.go = threading.Event()

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        while not self.go.is_set() and not flight.cancelled:
            await asyncio.sleep(0.001)
        async for event in super().events(request, flight):
            yield event


def test_a_stream_begins_at_once_where_it_is_asked_to_and_with_its_first_sample_else(
    service_of: Make, serving: Serve
) -> None:
    engines = {name: Late(name, size) for name, size in SIZES.items()}
    house = serving(service_of(engines))
    url = f"{house.v1}/chat/completions"
    body = asked(stream=True, include=["progress"])
    with httpx.stream("POST", url, json=body, timeout=60.0) as live:
        lines = live.iter_lines()
        first = json.loads(next(lines).removeprefix(": planner "))
        assert first["type"] == "started"
        for engine in engines.values():
            engine.go.set()
        live_kinds = [first["type"], *kinds(lines)]
    with httpx.stream("POST", url, json=asked(stream=True), timeout=60.0) as later:
        held_kinds = kinds(later.iter_lines())
    assert held_kinds == live_kinds
    assert "drawn" in held_kinds


def kinds(lines: Any) -> list[str]:
    """The kinds of progress that a stream tells."""
    told = [line.removeprefix(": planner ") for line in lines if line.startswith(": planner ")]
    return [json.loads(line)["type"] for line in told]


def test_a_stream_does_not_stay_silent_for_ever(service_of: Make, serving: Serve) -> None:
    engines = {name: Late(name, size) for name, size in SIZES.items()}
    house = serving(service_of(engines, rules=Rules(sizes=Sizes(seconds=0.3))))
    url = f"{house.v1}/chat/completions"
    with httpx.stream("POST", url, json=asked(stream=True), timeout=60.0) as live:
        assert live.status_code == 200
        lines = live.iter_lines()
        assert next(lines).startswith(": planner ")
        for engine in engines.values():
            engine.go.set()
        assert "drawn" in kinds(lines)


def test_whoever_leaves_before_the_first_byte_ends_the_work(service_of: Make, serving: Serve) -> None:
    house = serving(service_of({name: Mute(name, size) for name, size in SIZES.items()}))
    with held(house, asked(stream=True)):
        pass
    until(lambda: house.service.admission.running == 0)
    until(lambda: house.service.rolling.counts["cancelled"] == 1)
