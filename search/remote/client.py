"""A client: pooled connections to one server, JSON questions, streamed answers, named failures.

Questions (``ask``) are asked again by themselves, and tell when work was lost. Whoever streams (``events``)
decides by its own ``Tries``, since what is lost must be charged before it is asked for again.

The API key travels in the header only and is in no message. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Any

import httpx

from search.errors import BrokenError, GarbledError, RefusedError, UnreachableError
from search.remote.circuit import Circuit
from search.remote.refusal import failure
from search.remote.retry import Retry
from search.remote.tries import Tries

__all__ = ["Client"]

#: nothing was sent, so nothing was computed
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: most bytes of one line of a stream
_LONGEST = 16 << 20
#: seconds that an unused connection is kept; servers close theirs after five
_IDLE = 4.0


class Client:
    """Talks to one server. Serves one event loop after another; close it on the last one.

    Parameters
    ----------
    base_url:
        ``http://host:8000`` or ``http://host:8000/v1``: both mean the same server.
    api_key:
        Sent as a bearer token.
    retry, circuit:
        When to ask again.
    silence:
        Most seconds without a byte of an answer.
    connections:
        Most connections at a time; more requests wait for one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        retry: Retry | None = None,
        circuit: Circuit | None = None,
        silence: float = 120.0,
        connections: int = 512,
    ) -> None:
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise RefusedError(f"a base URL must be a URL, got {base_url!r}: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise RefusedError(f"a base URL must begin with http:// or https://, got {base_url!r}")
        if not silence > 0.0:
            raise ValueError(f"silence must be positive, got {silence}")
        if connections < 1:
            raise ValueError(f"connections must be at least 1, got {connections}")
        self.root = base_url.rstrip("/").removesuffix("/v1")
        self._retry = retry or Retry()
        self._circuit = circuit or Circuit()
        self._rng = Random()
        self._kept: dict[str, Any] = {
            "headers": {} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            "timeout": httpx.Timeout(silence, connect=min(silence, 10.0), pool=None),
            "verify": url.scheme == "https" and httpx.create_ssl_context(),  # certificates take time to load
        }
        self._limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE
        )
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def tries(self) -> Tries:
        """The tries of a new request."""
        return Tries(self._retry, self._circuit, self._rng)

    async def ask(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        on_break: Callable[[], object] = lambda: None,
    ) -> Any:
        """The JSON that a path answers: to a GET, or to a POST of ``body``.

        ``on_break`` is called before a question is asked again whose answer broke off: work was lost.
        Raises RemoteError's kinds, and ContextError.
        """
        tries = self.tries()
        while True:
            await tries.enter()
            try:
                url = self.root + path
                with _named(url):
                    answer = await self._open().request("GET" if body is None else "POST", url, json=body)
                found = _content(answer)
            except (UnreachableError, BrokenError) as error:
                await asyncio.sleep(tries.pause(error))
                if isinstance(error, BrokenError):
                    on_break()
            else:
                tries.succeeded()
                return found

    def ask_now(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """``ask``, waiting for the answer on this thread."""
        tries = self.tries()
        while True:
            tries.enter_now()
            try:
                url = self.root + path
                with _named(url), httpx.Client(**self._kept) as client:
                    answer = client.request("GET" if body is None else "POST", url, json=body)
                found = _content(answer)
            except (UnreachableError, BrokenError) as error:
                time.sleep(tries.pause(error))
            else:
                tries.succeeded()
                return found

    @asynccontextmanager
    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[Any]]:
        """The JSON objects of a stream of server-sent events, up to ``[DONE]``.

        Leaving the context closes the connection, which is how a server hears that nobody listens.
        Raises RemoteError's kinds, and ContextError; BrokenError when the stream ends before ``[DONE]``.
        """
        url = self.root + path
        with _named(url):
            async with self._open().stream("POST", url, json=body) as answer:
                if answer.status_code != 200:
                    raise failure(
                        answer.status_code, answer.headers.get("Retry-After"), await answer.aread(), url
                    )
                kind = answer.headers.get("Content-Type", "")
                if not kind.startswith("text/event-stream"):
                    raise GarbledError(f"a stream must be text/event-stream, got {kind!r} from {url}")
                yield _events(answer, url)

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _open(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or loop is not self._loop:  # connections belong to a loop
            self._client = httpx.AsyncClient(**self._kept, limits=self._limits)
            self._loop = loop
        return self._client


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Failures of the transport as errors of ours."""
    try:
        yield
    except _UNSENT as error:
        raise UnreachableError(f"a server must be reachable, got {_said(error)} from {url}") from error
    except httpx.TimeoutException as error:
        raise BrokenError(f"a server must not fall silent, got nothing for too long from {url}") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise RefusedError(f"a base URL must be a URL, got {url!r}: {error}") from error
    except httpx.DecodingError as error:
        raise GarbledError(f"an answer must be encoded as it says, got {_said(error)} from {url}") from error
    except httpx.HTTPError as error:
        raise BrokenError(f"an answer must not break off, got {_said(error)} from {url}") from error


def _said(error: Exception) -> str:
    return repr(str(error) or type(error).__name__)


def _content(answer: httpx.Response) -> Any:
    url = str(answer.url)
    if answer.status_code != 200:
        raise failure(answer.status_code, answer.headers.get("Retry-After"), answer.content, url)
    try:
        return answer.json()
    except ValueError as error:
        raise GarbledError(f"an answer must be JSON, got {answer.text[:80]!r} from {url}") from error


async def _events(answer: httpx.Response, url: str) -> AsyncIterator[Any]:
    """``data:`` lines one by one; other fields, comments (pings) and empty lines mean nothing here."""
    async for line in _lines(answer, url):
        field, _, data = line.partition(b":")
        if field != b"data":
            if field and field not in (b"event", b"id", b"retry"):
                raise GarbledError(f"a stream must be server-sent events, got {line[:80]!r} from {url}")
            continue
        data = data.strip()
        if data == b"[DONE]":
            return
        try:
            found = json.loads(data)
        except ValueError as error:
            raise GarbledError(f"an event must be JSON, got {data[:80]!r} from {url}") from error
        yield found
    raise BrokenError(f"a stream must end with [DONE], got an end without it from {url}")


async def _lines(answer: httpx.Response, url: str) -> AsyncIterator[bytes]:
    """Lines of bytes. Not httpx's own: those also break at characters that JSON may hold (U+2028, say)."""
    rest = b""
    async for block in answer.aiter_bytes():
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _LONGEST:
            raise GarbledError(f"a line of a stream must stay below {_LONGEST} bytes, got more from {url}")
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest
