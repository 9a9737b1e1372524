"""Whatever a server does wrong is a named error, or is waited for, or is mended: nothing hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from search.engines.openai.engine import OpenAIEngine
from search.engines.protocol import ChildFinished, FinishReason, Request, Sampling
from search.errors import (
    BrokenError,
    ContextError,
    EngineError,
    GarbledError,
    RefusedError,
    UnreachableError,
)
from search.remote.fake_server import FakeServer, Fault

QUESTION = "what is 1 + 2?"
COMPLETIONS = "/v1/completions"


def request(engine: OpenAIEngine, n: int = 2, **wanted: Any) -> Request:
    return Request(engine.prompt(QUESTION), n, 100, Sampling(), seed=3, logprobs=True, **wanted)


async def children(engine: OpenAIEngine, asked: Request) -> list[ChildFinished]:
    async with asyncio.timeout(30):
        events = [event async for event in engine.submit(asked)]
    return sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child)


# -- connecting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("http://127.0.0.1:9", UnreachableError, "a server must be reachable, got .*127.0.0.1:9/v1/models"),
        ("ftp://host", RefusedError, "a base URL must begin with http:// or https://, got 'ftp://host'"),
        ("http://host:port", RefusedError, "a base URL must be a URL, got 'http://host:port'"),
    ],
)
def test_a_wrong_url(url: str, error: type[EngineError], words: str) -> None:
    with pytest.raises(error, match=words):
        OpenAIEngine.connect(url, patience=0.0)


def test_a_wrong_path(server: FakeServer) -> None:
    with pytest.raises(RefusedError, match=r"a base URL must lead to an OpenAI-compatible server .* got 404"):
        OpenAIEngine.connect(server.url + "/elsewhere", patience=0.0)


def test_a_model_that_is_not_there(connect: Any, server: FakeServer) -> None:
    with pytest.raises(RefusedError, match=f"one that {server.url} serves, scripted, got 'gpt'"):
        connect(model="gpt")


async def test_a_model_that_is_taken_away(connect: Any, server: FakeServer) -> None:
    engine = connect()
    server.fail(COMPLETIONS, Fault.answer(404, b'{"error": {"message": "The model `x` does not exist."}}'))
    with pytest.raises(RefusedError, match=r"that serves the model, got 404 .* does not exist"):
        await children(engine, request(engine))


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[1]", b'{"data": [{}]}', b'{"data": 3}', b"\xff"])
def test_a_server_of_another_kind(connect: Any, server: FakeServer, body: bytes) -> None:
    server.fail("/v1/models", Fault.answer(200, body))
    with pytest.raises(GarbledError, match=r"an answer must be JSON|/v1/models must list models"):
        connect()


def test_the_number_of_weights_and_the_context_must_be_known(connect: Any, server: FakeServer) -> None:
    with pytest.raises(EngineError, match=r"the number of weights must be known .* got none for 'scripted'"):
        connect(parameters=None)
    assert connect(parameters=None, name="tiny-1.5B-it").card.parameters == 1_500_000_000
    server.fail("/v1/models", Fault.answer(200, b'{"data": [{"id": "m", "owned_by": "vllm"}]}'))
    unknown = connect()
    assert unknown.card.context == 8192
    assert "context: not told by the server, so 8,192 tokens are assumed (context = N)" in unknown.given_up
    server.fail("/v1/models", Fault.answer(200, b'{"data": [{"id": "m", "owned_by": "vllm"}]}'))
    assert connect(context=77).card.context == 77


def test_the_key_is_sent_and_never_shown(app: Any, connect: Any) -> None:
    app.api_key = "secret"
    assert connect(api_key="secret").card.name == "scripted"
    with pytest.raises(RefusedError, match="a server must accept the API key, got 401") as caught:
        connect(api_key="hidden")
    assert "hidden" not in repr(caught.value)


def test_a_server_that_repeats_the_key_is_not_quoted(connect: Any, server: FakeServer) -> None:
    server.fail("/v1/models", Fault.answer(401, b'{"error": {"message": "Incorrect API key: hidden"}}'))
    with pytest.raises(RefusedError, match=r"got 401 .* Incorrect API key: \*\*\*") as caught:
        connect(api_key="hidden")
    assert "hidden" not in repr(caught.value) + caught.value.words


# -- refusals -----------------------------------------------------------------------------------


async def test_a_context_that_is_too_long_for_the_server(connect: Any, server: FakeServer) -> None:
    engine = connect()
    said = b'{"error": {"message": "This model\'s maximum context length is 9 tokens."}}'
    server.fail(COMPLETIONS, Fault.answer(400, said))
    with pytest.raises(ContextError, match=r"must fit into the server's context, got 400 .* length is 9"):
        await children(engine, request(engine))


async def test_a_request_that_the_server_does_not_take(connect: Any, server: FakeServer) -> None:
    engine = connect()
    server.fail(COMPLETIONS, Fault.answer(422, b'{"detail": "not on a Monday"}'))
    with pytest.raises(RefusedError, match=r"a server must take the request, got 422 .* not on a Monday"):
        await children(engine, request(engine))


@pytest.mark.parametrize(
    "fault",
    [
        Fault.garbage(after=2),
        Fault.garbage(line=b"hello\n\n"),
        Fault.garbage(line=b"data: 3\n\n"),
        Fault.garbage(line=b'data: {"choices": [{"index": 0}]}\n\n'),
        Fault.garbage(line=b'data: {"choices": [{"index": 7, "text": "", "token_ids": []}]}\n\n'),
        Fault.garbage(line=b'data: {"choices": [{"index": 0, "text": "x"}]}\n\n'),
        Fault.garbage(line=b'data: {"choices": [{"index": 0, "text": "x", "token_ids": [3]}]}\n\n'),
        Fault.garbage(line=b'data: {"choices": [], "usage": {"prompt_tokens": -1}}\n\n'),
        Fault.garbage(line=b"data: [DONE]\n\n"),
        Fault.answer(200, b'{"choices": []}', "application/json"),
        Fault.answer(200, b"", ""),
    ],
    ids=str,
)
async def test_garbage(connect: Any, server: FakeServer, fault: Fault) -> None:
    engine = connect()
    server.fail(COMPLETIONS, fault)
    with pytest.raises(GarbledError):
        await children(engine, request(engine))
    assert len(await children(engine, request(engine))) == 2


# -- waiting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.busy(), Fault.busy(0.05), Fault.busy(status=503)], ids=str)
async def test_a_busy_server_is_asked_again_and_nothing_is_charged(
    connect: Any, server: FakeServer, fault: Fault
) -> None:
    engine = connect(patience=30.0)
    free = await children(engine, request(engine))
    server.fail(COMPLETIONS, fault, fault)
    assert await children(engine, request(engine)) == free
    assert len([asked for asked in server.asked if asked.path == COMPLETIONS]) == 4


async def test_a_server_that_wants_to_be_left_alone_for_longer_than_the_patience(
    connect: Any, server: FakeServer
) -> None:
    engine = connect(patience=5.0)
    server.fail(COMPLETIONS, Fault.busy(retry_after=3600))
    with pytest.raises(UnreachableError, match="a server must take requests, got 429") as caught:
        await children(engine, request(engine))
    assert caught.value.retry_after == 3600.0


async def test_a_server_that_is_away_for_a_while(connect: Any, server: FakeServer) -> None:
    engine = connect(patience=30.0)
    asked = request(engine)
    free = await children(engine, asked)
    await asyncio.to_thread(server.stop)
    waiting = asyncio.create_task(children(engine, request(engine)))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await asyncio.to_thread(server.start)
    assert await waiting == free


async def test_a_server_that_stays_away(connect: Any, server: FakeServer) -> None:
    engine = connect()
    asked = request(engine)
    await asyncio.to_thread(server.stop)
    with pytest.raises(UnreachableError, match="a server must be reachable, got"):
        await children(engine, asked)


async def test_slow_is_no_error_but_silent_is(connect: Any, server: FakeServer) -> None:
    engine = connect(silence=0.5)
    server.fail(COMPLETIONS, Fault.slow(0.1), Fault.silent())
    assert len(await children(engine, request(engine))) == 2
    with pytest.raises(BrokenError, match="a server must not fall silent, got nothing for too long"):
        await children(engine, request(engine))


async def test_a_request_has_a_deadline(connect: Any, app: Any) -> None:
    engine = connect(deadline=0.4)
    app.pace = 0.05
    with pytest.raises(BrokenError, match=r"a request must end within 0\.4 s") as caught:
        await children(engine, request(engine, stream=True))
    assert caught.value.partial == ()


# -- breaking off -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault.drop(),
        Fault.drop(after=3),
        Fault.end(after=3),
        Fault.answer(500, b"oops"),
        Fault.garbage(after=3, line=b'data: {"error": {"message": "EngineDeadError"}}\n\n'),
    ],
    ids=str,
)
async def test_a_break_tells_how_far_the_children_came(
    connect: Any, server: FakeServer, fault: Fault
) -> None:
    engine = connect()
    free = await children(engine, request(engine))
    server.fail(COMPLETIONS, fault)
    with pytest.raises(BrokenError) as caught:
        await children(engine, request(engine))
    partial = caught.value.partial
    assert [part.child for part in partial] == [0, 1]
    for part, child in zip(partial, free, strict=True):
        assert part.finish_reason == FinishReason.LOST
        assert child.text.startswith(part.text)
        assert child.token_ids[: len(part.token_ids)] == part.token_ids
        assert len(part.logprobs) == len(part.token_ids)
        assert part.lost_tokens == 16  # one event more, at most, had been written
    assert len(partial[0].token_ids) == (17 if fault.after else 0)
    assert await children(engine, request(engine)) == free


async def test_a_break_behind_the_last_child_loses_nothing(connect: Any, server: FakeServer) -> None:
    engine = connect()
    free = await children(engine, request(engine))
    broken = 0
    for after in range(1, 20):
        server.fail(COMPLETIONS, Fault.drop(after))
        try:
            found = await children(engine, request(engine))
            break
        except BrokenError:
            broken += 1
    assert broken >= 2
    assert found == free


async def test_after_many_breaks_the_server_is_left_alone(connect: Any, server: FakeServer) -> None:
    engine = connect()
    server.fail(COMPLETIONS, *[Fault.drop()] * 8)
    for _ in range(8):
        with pytest.raises(BrokenError):
            await children(engine, request(engine))
    came = len(server.asked)
    with pytest.raises(UnreachableError, match="a server that failed is left alone for a while"):
        await children(engine, request(engine))
    assert len(server.asked) == came


# -- leaving ------------------------------------------------------------------------------------


async def test_cancelling_closes_the_connection_and_the_server_stops(
    connect: Any, server: FakeServer, app: Any
) -> None:
    engine = connect()
    app.pace = 0.01
    asked = request(engine, stream=True)
    events = []
    async for event in engine.submit(asked):
        if len(events) == 4:
            await engine.cancel(asked.request_id)
        events.append(event)
    async with asyncio.timeout(10):
        while not server.left:
            await asyncio.sleep(0.01)
    ended = [event for event in events if isinstance(event, ChildFinished)]
    assert [child.lost_tokens for child in ended] == [1, 1]
    assert app.streamed < 2 * 20


async def test_cancelling_what_no_server_has_taken_costs_nothing(connect: Any, server: FakeServer) -> None:
    engine = connect(patience=60.0)
    asked = request(engine)
    server.fail(COMPLETIONS, Fault.busy(retry_after=30.0))
    waiting = asyncio.create_task(children(engine, asked))
    async with asyncio.timeout(10):
        while engine._flights.get(asked.request_id) is None or server.asked[-1].path != COMPLETIONS:
            await asyncio.sleep(0.01)
        while any(draft.is_sent for draft in engine._flights[asked.request_id]._live.values()):
            await asyncio.sleep(0.01)  # until the refusal has been read
    await engine.cancel(asked.request_id)
    ended = [(child.finish_reason, child.token_ids, child.lost_tokens) for child in await waiting]
    assert ended == [(FinishReason.CANCELLED, (), 0)] * 2


async def test_a_single_child_is_charged_to_its_limit_since_the_server_goes_on_with_it(
    connect: Any, app: Any
) -> None:
    engine = connect()
    app.pace = 0.01
    asked = request(engine, stream=True)
    events = []
    async for event in engine.submit(asked):
        if not events:
            await engine.cancel(asked.request_id, 1)
        events.append(event)
    ended = {event.child: event for event in events if isinstance(event, ChildFinished)}
    assert ended[1].finish_reason == FinishReason.CANCELLED
    assert len(ended[1].token_ids) + ended[1].lost_tokens == 100
    assert ended[0].lost_tokens == 0


async def test_forgetting_a_stream_closes_its_connection(connect: Any, server: FakeServer, app: Any) -> None:
    engine = connect()
    app.pace = 0.01
    stream = engine.submit(request(engine, stream=True))
    await anext(stream)
    del stream
    async with asyncio.timeout(10):
        while not server.left:
            await asyncio.sleep(0.01)
