"""Streams that fail after they have begun, before and after their first text, in the protocol's own words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from houses import QUESTION, House
from replay import CHAT, PARIS, Replay, call
from stuck import Dead

from planner.server.service import Service
from search.remote.fake_server import FakeServer, Fault

SIZES = (("small", 10**6), ("large", 4 * 10**6))
SEA = "tell me about the sea"
TOOLS: dict[str, Any] = {
    "responses": [{"type": "function", "name": "f", "parameters": {}}],
    "messages": [{"name": "f", "input_schema": {}}],
}


def events(house: House, path: str, said: str, **fields: Any) -> list[Any]:
    """(name, data) of the events of a stream."""
    body: dict[str, Any] = {"model": "planner", "stream": True, **fields}
    if path == "responses":
        body["input"] = said
    else:
        body |= {"messages": [{"role": "user", "content": said}], "max_tokens": 99}
    found = httpx.post(f"{house.v1}/{path}", json=body, timeout=60.0)
    assert found.status_code == 200, found.text
    blocks = [block.split("\n") for block in found.text.split("\n\n") if block.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def check_failed(told: list[Any], words: str) -> None:
    """The last event says what went wrong, and none that anything is whole."""
    name, data = told[-1]
    error = data["response"]["error"] if name == "response.failed" else data["error"]
    assert name in ("response.failed", "error")
    assert words in error["message"]
    assert all(data["type"] == name for name, data in told)
    whole = {"response.completed", "response.incomplete", "message_delta", "message_stop"}
    assert not whole & {name for name, _ in told}


@pytest.mark.parametrize("path", TOOLS)
def test_a_stream_that_began_at_once_fails_by_an_event(
    service_of: Callable[..., Service], serving: Callable[[Service], House], path: str
) -> None:
    house = serving(service_of({name: Dead(name, size) for name, size in SIZES}))
    told = events(house, path, QUESTION, model="planner/majority(n=4)", include=["progress"])
    check_failed(told, "the policy's backend must answer")
    names = [name for name, _ in told]
    assert names in (["response.created", "response.in_progress", "response.failed"], ["error"])


@pytest.mark.parametrize("path", TOOLS)
@pytest.mark.parametrize("after", [2, 3, 4])
def test_a_call_that_breaks_off_is_never_whole(
    behind: House, policy: FakeServer, replay: Replay, path: str, after: int
) -> None:
    replay.deltas = [call(0, "a", "f", '{"city": "Pa'), call(0, said='ris"'), call(0, said="}"), {}]
    replay.reason = "tool_calls"
    policy.fail(CHAT, Fault.drop(after=after))
    told = events(behind, path, SEA, tools=TOOLS[path])
    check_failed(told, "server must answer")
    assert not {"content_block_stop", "response.function_call_arguments.done"} & {name for name, _ in told}


@pytest.mark.parametrize("path", TOOLS)
def test_a_call_that_goes_on_too_late_is_an_error(behind: House, replay: Replay, path: str) -> None:
    replay.deltas = [call(0, "a", "f", PARIS), call(1, "b", "f", "{}"), call(0, said=', "x": 1}'), {}]
    replay.reason = "tool_calls"
    check_failed(events(behind, path, SEA, tools=TOOLS[path]), "goes on after the next one")
