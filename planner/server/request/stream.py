"""A response that is sent as it comes, and ends all work for it as soon as its client has gone.

Starlette notices a client that has left only when it next sends; a search is silent for seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["DONE", "KEEP_ALIVE", "EventStream", "data", "gone"]

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


def data(value: Mapping[str, Any]) -> bytes:
    """A data line of a stream.

    >>> data({"a": "é"})
    b'data: {"a":"\\\\u00e9"}\\n\\n'
    """
    return f"data: {json.dumps(value, separators=(',', ':'), allow_nan=False)}\n\n".encode()


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return


class EventStream(Response):
    """Sends what ``source`` yields as ``text/event-stream``.

    ``first``: what comes before that; a line for which somebody has waited already. ``patience``: seconds
    that a client may take to accept a piece; then it counts as gone. The generator is closed (it is cancelled
    where it waits) as soon as the client leaves.
    """

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[bytes], *, first: bytes = b"", patience: float = 30.0) -> None:
        self._first = first
        self._source = source
        self._patience = patience
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Headers without a length, which nobody knows."""
        given = {"content-type": "text/event-stream; charset=utf-8", **(headers or {})}
        self.raw_headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pump = asyncio.ensure_future(self._pump(send))
        left = asyncio.ensure_future(gone(receive))
        try:
            await asyncio.wait((pump, left), return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
        finally:
            for task in (pump, left):
                task.cancel()
            await asyncio.gather(pump, left, return_exceptions=True)
            await self._source.aclose()

    async def _pump(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        if self._first:
            await self._piece(send, self._first)
        async for piece in self._source:
            await self._piece(send, piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _piece(self, send: Send, piece: bytes) -> None:
        async with asyncio.timeout(self._patience):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
