from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from search.errors import BrokenError, UnreachableError
from search.remote.fake_server import Asked, FakeServer, Fault, Json
from search.remote.pool import Pool


async def echo(asked: Asked) -> Json:
    return Json({"connection": asked.headers.get("accept-encoding"), "body": asked.body})


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(echo) as running:
        yield running


@pytest.fixture
async def pool(server: FakeServer) -> AsyncIterator[Pool]:
    made = Pool(server.url, silence=5.0)
    yield made
    await made.close()


async def content(pool: Pool, body: Any = None) -> bytes:
    async with pool.answer("/a", body) as answer:
        return await answer.read()


async def test_an_answer_of_any_status_is_an_answer(pool: Pool, server: FakeServer) -> None:
    assert b"identity" in await content(pool)
    server.fail("/a", Fault.answer(404, b"nobody"))
    async with pool.answer("/a", {}) as answer:
        assert (answer.status, await answer.read()) == (404, b"nobody")


async def test_no_redirect_is_followed(pool: Pool, server: FakeServer) -> None:
    server.fail("/a", Fault("answer", 302, (("Location", f"{server.url}/b"),)))
    async with pool.answer("/a", {}) as answer:
        assert answer.status == 302
    assert [asked.path for asked in server.asked] == ["/a"]


async def test_a_post_is_sent_once_whatever_happens(pool: Pool, server: FakeServer) -> None:
    await content(pool, {})  # the next one meets a connection that was used before
    server.fail("/a", Fault.drop())
    with pytest.raises(BrokenError, match="an answer must not break off"):
        await content(pool, {"x": 1})
    assert len(server.asked) == 2


async def test_nothing_is_sent_where_nobody_listens(pool: Pool, server: FakeServer) -> None:
    await asyncio.to_thread(server.stop)
    with pytest.raises(UnreachableError, match=r"got .* from http://127.0.0.1"):
        await content(pool, {})


async def test_silence_is_a_break(server: FakeServer) -> None:
    pool = Pool(server.url, silence=0.2)
    server.fail("/a", Fault.silent())
    with pytest.raises(BrokenError, match="a server must not fall silent"):
        await content(pool, {})
    await pool.close()


async def test_more_requests_than_connections_take_turns(server: FakeServer) -> None:
    pool = Pool(server.url, connections=2)
    assert len(await asyncio.gather(*(content(pool, {"x": x}) for x in range(9)))) == 9
    await pool.close()


async def test_proxies_are_the_environments(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "here.example")
    there, here = Pool("http://there.example"), Pool("http://here.example:1")
    async with there.answer("/a", {}) as answer:
        assert answer.status == 200
    assert server.asked[0].path == "http://there.example/a"
    with pytest.raises(UnreachableError):
        await content(here, {})
    await there.close()
    await here.close()


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/v1/models"),
        ("/v1", "/v1/models"),
        ("/api/v1/", "/api/v1/models"),
        ("/v1beta/openai", "/v1beta/openai/models"),
        ("/api/paas/v4", "/api/paas/v4/models"),
        ("/elsewhere", "/elsewhere/v1/models"),
    ],
)
async def test_versions_in_an_address(server: FakeServer, base: str, path: str) -> None:
    pool = Pool(server.url + base)
    async with pool.answer("/v1/models") as answer:
        assert answer.url.path == path
    await pool.close()


async def test_connections_may_serve_one_request_each(server: FakeServer) -> None:
    pool = Pool(server.url, reuse=False)
    for _ in range(2):
        await content(pool, {})
    assert all(asked.headers.get("connection") == "close" for asked in server.asked)
    await pool.close()
