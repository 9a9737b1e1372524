from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest

from search.errors import BrokenError, RefusedError, UnreachableError
from search.remote.client import Client
from search.remote.fake_server import Asked, FakeServer, Fault, Json, Stream
from search.remote.retry import Retry

#: characters at which text breaks into lines elsewhere, but not a stream of events
TEXT = "one\u2028two\x85three\x1efour\r\nfive"


async def echo(asked: Asked) -> Json | Stream:
    """Answers with what it was asked; streams five events under /stream."""
    if asked.path != "/stream":
        return Json({"path": asked.path, "body": asked.body, "key": asked.headers.get("authorization")})

    async def events() -> AsyncGenerator[Any, None]:
        for number in range(5):
            await asyncio.sleep(0.01)
            yield {"number": number, "text": TEXT}

    return Stream(events())


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(echo) as running:
        yield running


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[Client]:
    made = Client(server.url, api_key="k", retry=Retry(patience=20.0, first=0.01))
    yield made
    await made.close()
    await made.close()


async def test_questions_and_answers(client: Client, server: FakeServer) -> None:
    assert await client.ask("/a") == {"path": "/a", "body": None, "key": "Bearer k"}
    assert (await client.ask("/b", {"x": TEXT}))["body"] == {"x": TEXT}
    assert (await asyncio.to_thread(client.ask_now, "/c", {"x": 1}))["body"] == {"x": 1}
    assert [asked.method for asked in server.asked] == ["GET", "POST", "POST"]


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_one_server_may_be_named_in_several_ways(end: str) -> None:
    assert Client("http://h:1" + end).root == "http://h:1"


async def test_questions_are_asked_again(client: Client, server: FakeServer) -> None:
    server.fail("/a", Fault.busy(), Fault.drop(), Fault.answer(500), Fault.busy(0.01, 503))
    lost: list[int] = []
    assert (await client.ask("/a", {}, lambda: lost.append(1)))["path"] == "/a"
    assert len(server.asked) == 5
    assert len(lost) == 2
    server.fail("/a", *[Fault.drop()] * 4)
    with pytest.raises(BrokenError, match="an answer must not break off"):
        await asyncio.to_thread(client.ask_now, "/a", {})


async def test_a_stream_is_its_events(client: Client) -> None:
    async with client.events("/stream", {}) as events:
        found = [event async for event in events]
    assert found == [{"number": number, "text": TEXT} for number in range(5)]


async def test_leaving_a_stream_is_heard_by_the_server(client: Client, server: FakeServer) -> None:
    async with client.events("/stream", {}) as events:
        await anext(events)
    async with asyncio.timeout(10):
        while not server.left:
            await asyncio.sleep(0.01)


async def test_comments_and_other_fields_of_a_stream_mean_nothing(client: Client, server: FakeServer) -> None:
    server.fail("/stream", Fault.garbage(after=1, line=b": ping\n\nevent: x\nid: 3\nretry: 9\n\r\n"))
    async with client.events("/stream", {}) as events:
        assert len([event async for event in events]) == 5


async def test_a_client_serves_one_loop_after_another(server: FakeServer) -> None:
    client = Client(server.url)

    async def once() -> Any:
        found = await client.ask("/a")
        await client.close()
        return found

    assert await asyncio.to_thread(asyncio.run, once()) == await asyncio.to_thread(asyncio.run, once())


async def test_patience_ends(server: FakeServer) -> None:
    client = Client(server.url, retry=Retry(patience=0.2, first=0.01))
    await asyncio.to_thread(server.stop)
    with pytest.raises(UnreachableError, match="a server must be reachable, got"):
        await client.ask("/a")
    await client.close()


def test_the_key_is_in_no_representation(server: FakeServer) -> None:
    client = Client("http://127.0.0.1:9", api_key="secret", retry=Retry(patience=0.0))
    with pytest.raises(UnreachableError) as caught:
        client.ask_now("/a")
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r} {client!r}"


@pytest.mark.parametrize("numbers", [{"silence": 0.0}, {"connections": 0}])
def test_numbers_that_make_no_sense(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got 0"):
        Client("http://h", **numbers)


def test_what_is_no_url() -> None:
    with pytest.raises(RefusedError, match="must begin with http:// or https://, got 'host:8000'"):
        Client("host:8000")
