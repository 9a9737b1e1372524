"""Server-sent events of an answer, as the JSON objects that they hold."""

from __future__ import annotations

import asyncio
import codecs
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

    Lines end as the standard has it (LF, CRLF or CR), and a byte order mark may come first. ``data:`` lines
    only: other fields, comments (pings) and empty events mean nothing here, but that what comes under
    ``event: error`` is told as an error. A line that is JSON alone is an event, whether or not an empty line
    follows; one that is not goes on in the next ``data:`` lines. After ``[DONE]`` the answer is read to its
    end, so that its connection can be used again.

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
        self._begun: list[bytes] = []  # lines of an event that is not whole
        self._first = True
        self._names_error = False
        self._done = False

    async def __anext__(self) -> Any:
        while not self._done:
            while self._lines:
                line = self._lines.popleft()
                data = self._data(line)
                if data == b"[DONE]":
                    self._done = True
                    await self._drain()
                    raise StopAsyncIteration
                found = self._event(data, is_last=not line)
                if found is not None:
                    return found[0]
            await self._read()
        raise StopAsyncIteration

    async def _read(self) -> None:
        """More lines. Bytes break at line ends only; JSON may hold what text breaks at (U+2028, say)."""
        block = await self.content.readany()
        if not block:
            if not self._rest and not self._begun:
                raise BrokenError(f"a stream must end with [DONE], got an end without it from {self._url}")
            block = b"\n\n"
        block = self._rest + block
        if self._first and len(block) >= len(codecs.BOM_UTF8):
            self._first, block = False, block.removeprefix(codecs.BOM_UTF8)
        if b"\r" in block:  # one at the end may be half of a line end
            half = b"\r" if block.endswith(b"\r") else b""
            block = block.removesuffix(half).replace(b"\r\n", b"\n").replace(b"\r", b"\n") + half
        *lines, self._rest = block.split(b"\n")
        if len(self._rest) > _LONGEST:
            raise GarbledError(
                f"a line of a stream must stay below {_LONGEST} bytes, got more from {self._url}"
            )
        self._lines.extend(lines)

    async def _drain(self) -> None:
        if self.content.at_eof():  # it mostly comes with the last event
            return
        with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):  # all that matters has come
            async with asyncio.timeout(_LINGER):
                while await self.content.readany():
                    pass

    def _data(self, line: bytes) -> bytes | None:
        field, _, data = line.partition(b":")
        if field == b"data":
            return data.strip()
        if field == b"event":
            self._names_error = data.strip() == b"error"
        elif field and field not in (b"id", b"retry"):
            raise GarbledError(f"a stream must be server-sent events, got {line[:80]!r} from {self._url}")
        return None

    def _event(self, data: bytes | None, *, is_last: bool) -> tuple[Any] | None:
        """The event that a line ends, if it ends one: its data, or the empty line after all of it."""
        if data:
            self._begun.append(data)
        if not self._begun or not (is_last or (data and len(self._begun) == 1)):
            return None
        whole = b"\n".join(self._begun)
        try:
            found = self._reader(whole)
        except (ValueError, RecursionError) as error:
            if not is_last:
                return None
            raise GarbledError(f"an event must be JSON, got {whole[:80]!r} from {self._url}") from error
        self._begun = []
        if self._names_error and not (isinstance(found, dict) and found.get("error")):
            found = {"error": found}
        self._names_error = False
        return (found,)
