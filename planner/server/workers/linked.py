"""The peers of a worker: asked and answered through the parent."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import suppress
from itertools import count as numbers
from typing import Any

from planner.server.peers import Peers
from planner.server.workers.wire import Wire
from search.errors import PlannerError

__all__ = ["LinkedPeers"]

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
