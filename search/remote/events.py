"""Server-sent events of an answer, as the JSON objects that they hold."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import aiohttp

from search.errors import BrokenError, GarbledError

__all__ = ["Events"]

#: most bytes of one line of a stream
_LONGEST = 16 << 20
#: most seconds that an answer may take to end after its last event
_LINGER = 1.0


class Events(AsyncIterator[Any]):
    """The JSON objects of a stream, one by one, up to ``[DONE]``.

    ``data:`` lines only: other fields, comments (pings) and empty lines mean nothing here. After ``[DONE]``
    the answer is read to its end, so that its connection can be used again.

    ``read``: what reads the JSON of an event, raising ValueError for what is none.

    Raises GarbledError for what is no stream, BrokenError when it ends before ``[DONE]``.
    """

    def __init__(self, answer: aiohttp.ClientResponse, read: Callable[[bytes], Any] = json.loads) -> None:
        self._url = answer.url
        self._reader = read
        kind = answer.headers.get("Content-Type", "")
        if not kind.startswith("text/event-stream"):
            raise GarbledError(f"a stream must be text/event-stream, got {kind!r} from {self._url}")
        self.content = answer.content
        self._lines: deque[bytes] = deque()
        self._rest: bytes = b""
        self._done = False

    async def __anext__(self) -> Any:
        while not self._done:
            while self._lines:
                data = self._data(self._lines.popleft())
                if data == b"[DONE]":
                    self._done = True
                    await self._drain()
                    raise StopAsyncIteration
                if data is not None:
                    return self._object(data)
            await self._read()
        raise StopAsyncIteration

    async def _read(self) -> None:
        """More lines. Bytes break at line feeds only; JSON may hold what text breaks at (U+2028, say)."""
        block = await self.content.readany()
        if not block:
            if not self._rest:
                raise BrokenError(f"a stream must end with [DONE], got an end without it from {self._url}")
            block = b"\n"
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > _LONGEST:
            raise GarbledError(
                f"a line of a stream must stay below {_LONGEST} bytes, got more from {self._url}"
            )
        self._lines.extend(line for line in lines if line)

    async def _drain(self) -> None:
        if self.content.at_eof():  # it mostly comes with the last event
            return
        with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):  # all that matters has come
            async with asyncio.timeout(_LINGER):
                while await self.content.readany():
                    pass

    def _data(self, line: bytes) -> bytes | None:
        field, _, data = line.removesuffix(b"\r").partition(b":")
        if field == b"data":
            return data.strip()
        if field and field not in (b"event", b"id", b"retry"):
            raise GarbledError(f"a stream must be server-sent events, got {line[:80]!r} from {self._url}")
        return None

    def _object(self, data: bytes) -> Any:
        try:
            return self._reader(data)
        except (ValueError, RecursionError) as error:
            raise GarbledError(f"an event must be JSON, got {data[:80]!r} from {self._url}") from error
