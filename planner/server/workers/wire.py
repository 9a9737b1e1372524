"""JSON lines between the parent and a worker, over a pair of connected sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["Wire"]

#: most bytes of a line: the figures of one process
_MOST = 64 * 2**20


class Wire:
    """One end. ``open`` it on the loop that uses it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, end: socket.socket) -> Wire:
        """A wire over a connected socket, which belongs to it from now on."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_MOST))

    def send(self, said: dict[str, Any]) -> None:
        """Send an object; nothing where the other end has gone."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(said, separators=(",", ":")).encode() + b"\n")

    async def heard(self) -> AsyncIterator[dict[str, Any]]:
        """What the other end sends, until it goes."""
        while True:
            try:
                line = await self._reader.readline()
            except (ConnectionError, ValueError):  # gone, or a line without an end
                return
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)

    async def close(self) -> None:
        """Close this end."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the other end went first
