"""The HTTP of servers that stand for models in benchmarks: a connection, and what is sent on it."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from typing import Any

#: the head of a stream of events
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class HttpConnection(asyncio.Protocol, ABC):
    """Reads requests with JSON bodies one after another; ``asked`` answers them with ``put``."""

    def __init__(self) -> None:
        self._data = b""
        self._transport: asyncio.Transport | None = None

    @abstractmethod
    def asked(self, path: str, body: Any) -> None:
        """A request has come; its body is ``{}`` where it has none."""

    @property
    def is_open(self) -> bool:
        """Whether anybody listens."""
        return self._transport is not None

    def put(self, data: bytes) -> None:
        """Send bytes, if anybody listens."""
        if self._transport is not None:
            self._transport.write(data)

    def reset(self) -> None:
        """Break off at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._data += data
        while True:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                return
            self._data = rest[length:]
            path = head.split(b" ", 2)[1].decode()
            self.asked(path, json.loads(rest[:length]) if length else {})


def chunk(data: bytes) -> bytes:
    """A piece of a stream; b"" ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(content: Any) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def whole(content: Any, status: str = "200 OK") -> bytes:
    """A response of JSON. ``status`` may carry further headers."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
