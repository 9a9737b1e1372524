"""The policy's own server: requests that nothing is planned for go there as they came.

Nothing is sent twice but what was never accepted: a refused connection. Answers come back with our id and a
receipt; their ``usage`` is the server's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from planner.server.refusal import Refusal
from search.errors import EngineError, UnreachableError
from search.remote.events import Events
from search.remote.pool import Pool

__all__ = ["OURS", "Upstream"]

#: fields of a request that are ours, not the policy server's
OURS = frozenset({"budget", "domain", "abstain_below", "include", "policy", "prm"})

_KNOWN = (400, 401, 403, 404, 408, 409, 413, 422, 429)


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
    """

    def __init__(
        self, base_url: str, model: str, policy: str, *, api_key: str | None = None, silence: float = 600.0
    ) -> None:
        self.model = model
        self.policy = policy
        self._pool = Pool(base_url, api_key=api_key, silence=silence, connections=1024)

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the whole answer. Raises Refusal."""
        async with self._answer(path, body) as answer:
            return _object(await answer.read())

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Send a request and yield its chunks. Raises Refusal."""
        async with self._answer(path, body) as answer:
            async for chunk in Events(answer):
                yield _checked(chunk)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    @asynccontextmanager
    async def _answer(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to our own words, if it is one. Raises Refusal for whatever goes wrong."""
        said = {name: value for name, value in body.items() if name not in OURS} | {"model": self.model}
        for last in (False, True):
            try:
                async with self._pool.answer(f"/v1{path}", said) as answer:
                    await _check(answer)
                    yield answer
                    return
            except UnreachableError as error:  # nothing was accepted, so nothing is charged twice
                if last:
                    raise _failed(error) from error
            except EngineError as error:
                raise _failed(error) from error


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status == 200:
        return
    try:
        said = _message(await answer.read())
    except aiohttp.ClientError:
        said = ""
    status = answer.status if answer.status in _KNOWN else 502
    wait = answer.headers.get("Retry-After", "")
    raise Refusal(
        f"the policy's server must answer, got {answer.status}: {said}",
        status if status not in (401, 403) else 502,  # those are about our key, not the client's
        code="policy_refused" if status < 500 else "policy_failed",
        retry_after=float(wait) if wait.isdigit() else None,
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return _checked(found)


def _checked(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Refusal(
            "the policy's server must answer with JSON, got something else", 502, code="policy_failed"
        )
    return found


def _message(content: bytes) -> str:
    """What the server says of a refusal, cut: its words, about the client's own request."""
    try:
        found = json.loads(content)
        error = found.get("error", found) if isinstance(found, dict) else found
        said = error.get("message", "") if isinstance(error, dict) else error
        return str(said)[:500]
    except (ValueError, AttributeError):
        return ""


def _failed(error: Exception) -> Refusal:
    return Refusal(f"the policy's server must answer, got {type(error).__name__}", 502, code="policy_failed")
