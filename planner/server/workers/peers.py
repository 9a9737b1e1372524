"""Peers: the processes of one server. Any of them can be asked something, and answers for all.

A server of one process has no peers: it answers for itself. One of several asks and answers through the
parent, in JSON lines over a pair of connected sockets.

    >>> import asyncio
    >>> async def hear(given: object) -> object:
    ...     return {"seen": given}
    >>> peers = Peers()
    >>> peers.answer("figures", hear)
    >>> asyncio.run(peers.ask("figures", 600))
    {0: {'seen': 600}}
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count as numbers
from typing import Any

from search.errors import PlannerError

__all__ = [
    "Answer",
    "LinkedPeers",
    "Peers",
    "Wire",
]

#: answers a question, in JSON
Answer = Callable[[Any], Awaitable[Any]]


class Peers:
    """A process alone."""

    #: which of the processes this is, and how many there are
    number, count = 0, 1
    #: how often one of them was started again
    restarts = 0

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    def answer(self, what: str, how: Answer) -> None:
        """How a question is answered here."""
        self._answers[what] = how

    async def ask(self, what: str, given: Any = None, *, within: float | None = None) -> dict[int, Any]:
        """The answers of all processes by their numbers, this one's first.

        One that does not answer ``within`` so many seconds is left out; what this one's own answer raises is
        raised.
        """
        return {self.number: await self._answers[what](given)}

    def start(self) -> None:
        """Begin to listen, on the running loop."""

    def ready(self) -> None:
        """Requests are answered from now on."""

    async def close(self) -> None:
        """End."""


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


_LOGGER = logging.getLogger("planner.server")


class LinkedPeers(Peers):
    """One of several processes.

    Parameters
    ----------
    number, count:
        Which one it is, and how many there are.
    end:
        This one's end of the socket pair whose other end the parent has.
    patience:
        Seconds for the others to answer.
    """

    def __init__(self, number: int, count: int, end: socket.socket, patience: float = 3.0) -> None:
        super().__init__()
        self.number, self.count = number, count
        self._end, self._patience = end, patience
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next = numbers()
        self._is_closed = self._is_ready = False

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._listen())

    def ready(self) -> None:
        self._is_ready = True
        if self._wire is not None:
            self._wire.send({"ready": True})

    async def ask(self, what: str, given: Any = None, *, within: float | None = None) -> dict[int, Any]:
        found = await super().ask(what, given)
        wire, within = self._wire, within or self._patience
        if wire is None:
            return found
        number = next(self._next)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        wire.send({"ask": number, "what": what, "given": given, "within": within})
        try:
            async with asyncio.timeout(within + 1.0):
                said = await asked
        except TimeoutError:
            return found
        finally:
            del self._asked[number]
        self.restarts = said["restarts"]
        return found | {int(other): value for other, value in said["values"]}

    async def close(self) -> None:
        self._is_closed = True
        for task in (self._task, *self._answering):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        if self._wire is not None:
            await self._wire.close()

    async def _listen(self) -> None:
        wire = self._wire = await Wire.open(self._end)
        if self._is_ready:
            wire.send({"ready": True})
        async for said in wire.heard():
            if "values" in said:
                asked = self._asked.get(said["ask"])
                if asked is not None and not asked.done():
                    asked.set_result(said)
            else:
                task = asyncio.get_running_loop().create_task(self._tell(wire, said))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        if not self._is_closed:
            _LOGGER.error("the parent of worker %d is gone, so it ends", self.number)
            os.kill(os.getpid(), signal.SIGTERM)

    async def _tell(self, wire: Wire, said: dict[str, Any]) -> None:
        """Answer a question of another process. What goes wrong here is no answer."""
        try:
            value = await self._answers[said["what"]](said["given"])
        except Exception as error:
            words = str(error) if isinstance(error, PlannerError) else type(error).__name__
            _LOGGER.warning("worker %d has no answer to %r: %s", self.number, said["what"], words)
            wire.send({"answer": said["tell"], "failed": True})
        else:
            wire.send({"answer": said["tell"], "value": value})
