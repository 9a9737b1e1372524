"""One OpenAI-compatible address before several model servers, which counts what every request takes.

The ``model`` of a request names the server; under ``/NAME/...`` a server's other routes are reached
(``/props``, ``/tokenize``). Nothing else is changed, with one exception: llama.cpp tells the tokens of one
sample only where several are asked for at once (``n``), so such a request is asked as a stream and put
together here, its usage added up. A stream that its client leaves is counted by the tokens that had come,
and has the prompt of the request before it.

A request is told apart by the question in its prompt (``Meter``). A prompt of token ids, which ``planner
serve`` sends, is spelled out by the model's server for that.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

__all__ = ["Meter", "Tokens", "door"]

#: seconds that a request may take; longer than a queue of all that is sent at a time
_TIMEOUT = 3600.0
_DROPPED = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Prompt tokens and generated tokens."""

    prompt: int = 0
    generated: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.generated + other.generated)


class Meter:
    """What was taken, by question and model. Questions are told apart by their texts."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._texts: dict[str, str] = {}
        self._taken: dict[tuple[str, str], Tokens] = {}
        self._prompts: dict[tuple[str, str], int] = {}
        self._open: Counter[str] = Counter()

    def watch(self, questions: Mapping[str, str]) -> None:
        """Forget everything; from now on count these: id -> text."""
        with self._changed:
            self._texts = {text: one for one, text in questions.items()}
            self._taken.clear()
            self._prompts.clear()

    def asked(self, content: str) -> str:
        """The id of the question that stands in a prompt; "" for none. It is open until ``ended``."""
        with self._changed:
            found = next((one for text, one in self._texts.items() if text in content), _NOBODY)
            self._open[found] += 1
            return found

    def ended(self, question: str, model: str, tokens: Tokens) -> None:
        """A request came to its end. One whose prompt is not known has that of the one before."""
        with self._changed:
            self._open[question] -= 1
            key = question, model
            prompt = tokens.prompt or (self._prompts.get(key, 0) if tokens.generated else 0)
            self._prompts[key] = prompt or self._prompts.get(key, 0)
            self._taken[key] = self._taken.get(key, Tokens()) + Tokens(prompt, tokens.generated)
            self._changed.notify_all()

    def taken(self, question: str, patience: float = 10.0) -> dict[str, Tokens]:
        """Model -> what a question has taken, once none of its requests is open any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._open[question] == 0, patience)
            return {model: tokens for (one, model), tokens in self._taken.items() if one == question}

    def total(self, patience: float = 10.0) -> dict[str, Tokens]:
        """Model -> what all requests have taken, once none is open."""
        with self._changed:
            self._changed.wait_for(lambda: not any(self._open.values()), patience)
            found: dict[str, Tokens] = {}
            for (_, model), tokens in self._taken.items():
                found[model] = found.get(model, Tokens()) + tokens
            return found


@contextmanager
def door(servers: Mapping[str, str], meter: Meter) -> Iterator[str]:
    """The address of a door before servers (name -> root), for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="door", daemon=True)
    thread.start()
    opened = _Door(servers, meter)
    try:
        port = asyncio.run_coroutine_threadsafe(opened.open(), loop).result()
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(opened.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Door:
    def __init__(self, servers: Mapping[str, str], meter: Meter) -> None:
        self._servers, self._meter = dict(servers), meter

    async def open(self) -> int:
        # llama.cpp's server may close a connection that waits just as the next request is sent on it
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT), connector=connector
        )
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, _: web.Request) -> web.Response:
        told = [{"id": name, "object": "model", "owned_by": "head_to_head"} for name in self._servers]
        return web.json_response({"object": "list", "data": told})

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else {}
        first, _, rest = request.path.lstrip("/").partition("/")
        named = first in self._servers
        model, path = (first, rest) if named else (str(body.get("model")), request.path.lstrip("/"))
        if model not in self._servers:
            told = {"error": {"message": f"the model must be one of {list(self._servers)}, got {model!r}"}}
            return web.json_response(told, status=404)
        url = f"{self._servers[model]}/{path}"
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
        if not path.endswith("completions") or request.method != "POST":
            async with self._session.request(request.method, url, data=raw, headers=headers) as answer:
                return web.Response(
                    body=await answer.read(), status=answer.status, content_type=answer.content_type
                )
        question = self._meter.asked(await self._content(self._servers[model], body))
        count = _Count()
        try:
            if body.get("stream"):
                return await self._streamed(request, url, raw, headers, count)
            if (body.get("n") or 1) > 1:
                return await self._several(url, body, headers, count)
            async with self._session.post(url, data=raw, headers=headers) as answer:
                told = await answer.json(content_type=None)
                count.usage(told.get("usage") or {})
                return web.json_response(told, status=answer.status)
        finally:
            self._meter.ended(question, model, count.tokens)

    async def _content(self, server: str, body: Mapping[str, Any]) -> str:
        """The text of a prompt."""
        prompt = body.get("prompt")
        if isinstance(prompt, list):
            async with self._session.post(f"{server}/detokenize", json={"tokens": prompt}) as answer:
                return str((await answer.json(content_type=None)).get("content", ""))
        talk: Iterable[Mapping[str, Any]] = body.get("messages") or ()
        return "\n".join([*(str(turn.get("content")) for turn in talk), str(prompt or "")])

    async def _streamed(
        self, request: web.Request, url: str, raw: bytes, headers: dict[str, str], count: _Count
    ) -> web.StreamResponse:
        async with self._session.post(url, data=raw, headers=headers) as answer:
            passed = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers.get("Content-Type", "")}
            )
            await passed.prepare(request)
            async for line in answer.content:
                await passed.write(line)
                if line.startswith(b"data: {"):
                    count.event(json.loads(line[6:]))
            await passed.write_eof()
            return passed

    async def _several(
        self, url: str, body: dict[str, Any], headers: dict[str, str], count: _Count
    ) -> web.Response:
        """Several samples by a stream, as one answer."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        texts: dict[int, list[str]] = {index: [] for index in range(int(body["n"]))}
        ends: dict[int, str] = {}
        head: dict[str, Any] = {}
        async with self._session.post(url, json=asked, headers=_without_type(headers)) as answer:
            if answer.status != 200 or "event-stream" not in answer.content_type:
                refused = await answer.json(content_type=None)
                return web.json_response(refused, status=answer.status if answer.status != 200 else 502)
            async for event in _events(answer):
                count.event(event)
                head = head or {name: event.get(name) for name in ("id", "created", "model")}
                for choice in event.get("choices", ()):
                    delta = choice.get("delta") or {}
                    texts[choice["index"]].append(delta.get("content") or choice.get("text") or "")
                    ends[choice["index"]] = choice.get("finish_reason") or ends.get(choice["index"], "stop")
        tokens = count.tokens
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": "".join(pieces)},
                "finish_reason": ends.get(index, "stop"),
            }
            for index, pieces in texts.items()
        ]
        usage = {
            "prompt_tokens": tokens.prompt,
            "completion_tokens": tokens.generated,
            "total_tokens": tokens.prompt + tokens.generated,
        }
        return web.json_response({**head, "object": "chat.completion", "choices": choices, "usage": usage})


class _Count:
    """The tokens of one request: as its usage says, else one for each piece of text that came."""

    def __init__(self) -> None:
        self._prompt, self._generated, self._pieces = 0, 0, 0

    @property
    def tokens(self) -> Tokens:
        return Tokens(self._prompt, max(self._generated, self._pieces))

    def usage(self, told: Mapping[str, Any]) -> None:
        # samples of one request have one prompt
        self._prompt = max(self._prompt, int(told.get("prompt_tokens") or 0))
        self._generated += int(told.get("completion_tokens") or 0)

    def event(self, event: Mapping[str, Any]) -> None:
        self._pieces += sum(_has_text(choice) for choice in event.get("choices", ()))
        if event.get("usage"):
            self.usage(event["usage"])


def _has_text(choice: Mapping[str, Any]) -> bool:
    return bool((choice.get("delta") or {}).get("content") or choice.get("text"))


def _without_type(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "content-type"}


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])
