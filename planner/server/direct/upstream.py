"""The policy's own server: requests that nothing is planned for go there as they came.

Nothing is sent twice but what was never accepted: a refused connection. Answers come back with our id and a
receipt; their ``usage`` is the server's. What it answers is whole or an error:
``planner.server.direct.wholeness``.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from planner.server.direct.wholeness import Ended, chunk_of, failed, refused, told, words_of
from planner.server.refusal import Refusal
from search.errors import BrokenError, EngineError, UnreachableError
from search.remote.client import Client
from search.remote.events import Events
from search.remote.refusal import seconds_of

__all__ = ["OURS", "Upstream"]

#: fields of a request that are ours, not the policy server's
OURS = frozenset({"budget", "domain", "abstain_below", "draw_all", "include", "policy", "prm"})


class Upstream:
    """An OpenAI-compatible server.

    Parameters
    ----------
    base_url:
        ``http://127.0.0.1:8000/v1``, with or without ``/v1``.
    model:
        What the server calls the policy.
    policy:
        What the planner calls it.
    api_key:
        Sent as a bearer token; never shown.
    client:
        What an engine asks the same server through: both together keep its limits of connections and of
        requests a minute. One of its own by default.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        policy: str,
        *,
        api_key: str | None = None,
        silence: float = 600.0,
        client: Client | None = None,
    ) -> None:
        self.model = model
        self.policy = policy
        client = client or Client(base_url, api_key=api_key, silence=silence)
        self._pool, self._rate_limit = client.pool, client.rate_limit
        self._unkeyed = client.unkeyed

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer, of which ``check_whole`` knows more. Raises Refusal."""
        async with self._answer(path, body) as answer:
            return _object(await answer.read())

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Send a request and yield its chunks. Raises Refusal, also for a stream that ends too early."""
        async with self._answer(path, body) as answer:
            if answer.headers.get("Content-Type", "").startswith("application/json"):
                _object(await answer.read())  # an error, mostly
            ended = Ended()
            try:
                async for found in Events(answer, _read):
                    chunk = chunk_of(_checked(found))
                    ended.hear(chunk)
                    yield chunk
            except BrokenError:
                if not ended.is_whole:
                    raise
            ended.check()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    @asynccontextmanager
    async def _answer(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to our own words, if it is one. Raises Refusal for whatever goes wrong."""
        said = {name: value for name, value in body.items() if name not in OURS} | {"model": self.model}
        for last in (False, True):
            try:
                await self._rate_limit.enter()
                async with self._pool.answer(f"/v1{path}", said) as answer:
                    await _check(answer)
                    yield answer
                    return
            except UnreachableError as error:  # nothing was accepted, so nothing is charged twice
                if last:
                    raise _failed(error) from error
            except EngineError as error:
                raise _failed(error) from error
            except Refusal as refusal:
                refusal.args = (self._unkeyed(str(refusal)),)
                raise


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status == 200:
        return
    try:
        said = _message(await answer.read())
    except aiohttp.ClientError:
        said = ""
    raise refused(answer.status, said, seconds_of(answer.headers.get("Retry-After")))


def _read(content: bytes) -> Any:
    """JSON that a client can be given. Raises ValueError for numbers that JSON has no word for, which
    Python's reader takes: ``NaN``, ``Infinity`` and those that are too large.

    >>> _read(b'{"logprob": -Infinity}')
    Traceback (most recent call last):
    ValueError: a number must be finite, got -Infinity
    """
    return json.loads(content, parse_constant=_number, parse_float=_number)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number must be finite, got {text[:20]}")
    return value


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = _read(content)
    except (ValueError, RecursionError):
        found = None
    return _checked(found)


def _checked(found: Any) -> dict[str, Any]:
    """An object that tells no error."""
    if not isinstance(found, dict):
        raise failed("something other than a JSON object")
    if found.get("error"):
        raise told(found["error"])
    if found.get("object") == "error":
        raise told(found)
    return found


def _message(content: bytes) -> str:
    """What the server says of a refusal: its words, about the client's own request."""
    try:
        found = json.loads(content)
        return words_of(found.get("error", found) if isinstance(found, dict) else found)
    except (ValueError, RecursionError):
        return ""


def _failed(error: Exception) -> Refusal:
    return failed(f"{type(error).__name__}: {error}"[:400])
