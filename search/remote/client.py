"""A client: JSON questions to one server, streamed answers, named failures.

Questions (``ask``) are asked again by themselves, and tell when work was lost. Whoever streams (``events``)
decides by its own ``Tries``, since what is lost must be charged before it is asked for again.

The API key travels in the header only and is in no message. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import aiohttp

from search.errors import BrokenError, GarbledError, UnreachableError
from search.remote.circuit import Circuit
from search.remote.events import Events
from search.remote.pool import Pool
from search.remote.rate_limit import RateLimit
from search.remote.refusal import failure, failure_in_stream
from search.remote.retry import Retry
from search.remote.tries import Tries

__all__ = ["Client"]


class Client:
    """Talks to one server. Serves one event loop after another; close it on the last one.

    Parameters
    ----------
    base_url, api_key, silence, connections:
        As ``Pool`` has them.
    retry, circuit:
        When to ask again.
    rate:
        Most requests a minute; None for no limit.
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
        rate: float | None = None,
    ) -> None:
        #: how often it may ask
        self.rate_limit = RateLimit(rate)
        self._key = api_key
        make = partial(Pool, base_url, api_key=api_key, silence=silence, connections=connections)
        self._make: Callable[[], Pool] = make
        self._make_once: Callable[[], Pool] = partial(make, reuse=False)
        self._pool = self._make()
        self.root = self._pool.root
        self._retry = retry or Retry()
        self._circuit = circuit or Circuit()
        self._rng = Random()

    @property
    def pool(self) -> Pool:
        """Its connections, for whoever asks the same server in other words."""
        return self._pool

    def use_once(self) -> None:
        """A connection for each request from now on (``Pool``'s ``reuse``); call it before the first one."""
        self._make = self._make_once
        self._pool = self._make()

    @property
    def last_failure(self) -> str:
        """What the server failed with, in words, as long as it has not answered since; "" otherwise."""
        return self._circuit.cause

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
        return await self._ask(self._pool, path, body, on_break)

    def ask_now(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """``ask``, waiting for the answer on this thread, whether or not an event loop runs on it."""

        async def alone() -> Any:
            pool = self._make()
            try:
                return await self._ask(pool, path, body, lambda: None)
            finally:
                await pool.close()

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(alone())
        with ThreadPoolExecutor(1, thread_name_prefix="ask") as thread:
            return thread.submit(asyncio.run, alone()).result()

    @asynccontextmanager
    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[Events]:
        """The JSON objects of a stream of server-sent events, up to ``[DONE]``.

        Leaving the context closes the connection, which is how a server hears that nobody listens.
        Raises RemoteError's kinds, and ContextError; BrokenError when the stream ends before ``[DONE]``.
        """
        await self.rate_limit.enter()
        async with self._pool.answer(path, body) as answer:
            await self._check(answer)
            if answer.headers.get("Content-Type", "").startswith("application/json"):
                self._check_told(await answer.read())
            yield Events(answer)

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._pool.close()

    def unkeyed(self, text: str) -> str:
        """A server's words without the API key, should it repeat that."""
        return text.replace(self._key, "***") if self._key else text

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        """Raise what an answer other than 200 means."""
        if answer.status != 200:
            content = self.unkeyed((await answer.read()).decode(errors="replace")).encode()
            raise failure(answer.status, answer.headers.get("Retry-After"), content, str(answer.url))

    def _check_told(self, content: bytes) -> None:
        """Raise the error that an answer tells in place of a stream, with status 200."""
        try:
            found = json.loads(self.unkeyed(content.decode(errors="replace")))
        except ValueError:
            return  # no stream either: that is told by whoever reads one
        if isinstance(found, dict) and found.get("error"):
            raise failure_in_stream(found, self.root)

    async def _ask(
        self, pool: Pool, path: str, body: Mapping[str, Any] | None, on_break: Callable[[], object]
    ) -> Any:
        tries = self.tries()
        while True:
            await tries.enter()
            await self.rate_limit.enter()
            try:
                async with pool.answer(path, body) as answer:
                    await self._check(answer)
                    content = await answer.read()
            except (UnreachableError, BrokenError) as error:
                await asyncio.sleep(tries.pause(error))
                if isinstance(error, BrokenError):
                    on_break()
            else:
                tries.succeeded()
                return _json(content, answer)


def _json(content: bytes, answer: aiohttp.ClientResponse) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        said = content[:80].decode(errors="replace")
        raise GarbledError(f"an answer must be JSON, got {said!r} from {answer.url}") from error
