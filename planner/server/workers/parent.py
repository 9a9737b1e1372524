"""The parent: starts workers, starts those again that die, passes signals and questions on, ends them all.

It holds no model and answers no client, so it stays small and has nothing to die of. What it needs to know
of a worker comes over a socket pair: that it is ready, why it cannot start, what it asks the others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count as numbers
from multiprocessing.process import BaseProcess
from typing import Any

from planner.server.workers.peers import Wire
from search.errors import ServeError

__all__ = ["Parent"]

_LOGGER = logging.getLogger("planner.server")

#: seconds before a worker is started again: the first time, at most, and of life after which it is the first
_FIRST, _LONGEST, _WELL = 0.1, 30.0, 60.0
#: starts of a worker before any request was answered, after which the server gives up
_TRIES = 3


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker, from one start to its end."""

    number: int
    process: BaseProcess
    began: float
    wire: Wire | None = None
    is_ready: bool = False
    failed: str | None = None
    told: dict[int, asyncio.Future[Any]] = field(default_factory=dict)


class Parent:
    """Of so many workers.

    Parameters
    ----------
    start:
        Starts a process that has this number and this end of a socket pair.
    grace:
        Seconds that a worker has to end, before it is killed.
    on_ready:
        Called once, when every worker answers.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int, socket.socket], BaseProcess],
        *,
        grace: float = 60.0,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._count, self._start, self._grace, self._on_ready = count, start, grace, on_ready
        self._workers: dict[int, _Worker] = {}
        self._next = numbers()
        self._restarts = 0
        self._is_up = False
        self._ending = asyncio.Event()
        self._failure: str | None = None
        self._ended_by: signal.Signals | None = None

    async def run(self) -> signal.Signals | None:
        """Until a signal ends it, which it returns. Raises ServeError where a worker cannot start at all."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._end, name)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        keeping = [asyncio.ensure_future(self._keep(number)) for number in range(self._count)]
        try:
            await self._ending.wait()
            self._pass_on(signal.SIGTERM)
        finally:
            self._ending.set()
            await asyncio.gather(*keeping)
            for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(name)
        if self._failure is not None:
            raise ServeError(self._failure)
        return self._ended_by

    def _end(self, name: signal.Signals) -> None:
        self._ended_by = self._ended_by or name
        self._ending.set()

    def _pass_on(self, name: signal.Signals) -> None:
        for worker in self._workers.values():
            if worker.is_ready or name != signal.SIGHUP:  # one that begins reads everything anyway
                _send(worker, name)

    async def _keep(self, number: int) -> None:
        """One worker after another of the same number, until the end."""
        wait, tries = _FIRST, 0
        while not self._ending.is_set():
            worker = await self._live(number)
            if self._ending.is_set():
                return
            tries += 1
            if not self._is_up and (worker.failed is not None or tries == _TRIES):
                self._failure = worker.failed or f"a worker must start, got {_how(worker.process)}"
                self._ending.set()
                self._pass_on(signal.SIGTERM)
                return
            self._restarts += 1
            _LOGGER.error(
                "worker %d has ended (%s), it is started again", number, worker.failed or _how(worker.process)
            )
            wait = _FIRST if time.monotonic() - worker.began > _WELL else min(_LONGEST, 2.0 * wait)
            try:
                async with asyncio.timeout(wait):
                    await self._ending.wait()
            except TimeoutError:
                continue

    async def _live(self, number: int) -> _Worker:
        """Start a worker and listen to it until it has ended."""
        mine, its = socket.socketpair()
        with its:
            process = await asyncio.to_thread(self._start, number, its)
        worker = self._workers[number] = _Worker(number, process, time.monotonic())
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(process.sentinel, ended.set)
        wire = worker.wire = await Wire.open(mine)
        listening = asyncio.ensure_future(self._listen(worker, wire))
        if self._ending.is_set():  # it was started as the end came
            _send(worker, signal.SIGTERM)
        try:
            await self._until(ended, worker)
        finally:
            loop.remove_reader(process.sentinel)
            await listening  # to its last words
            await wire.close()
            await asyncio.to_thread(process.join)
            for told in worker.told.values():
                if not told.done():
                    told.set_result(None)
        return worker

    async def _until(self, ended: asyncio.Event, worker: _Worker) -> None:
        """Wait for the end of a worker, and make one where it has been told to end and does not."""
        end, told = asyncio.ensure_future(ended.wait()), asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait((end, told), return_when=asyncio.FIRST_COMPLETED)
            if not ended.is_set():
                await asyncio.wait((end,), timeout=self._grace)
            if not ended.is_set():
                _LOGGER.error("worker %d has not ended within %g s, it is killed", worker.number, self._grace)
                worker.process.kill()
                await end
        finally:
            for task in (end, told):
                task.cancel()
            await asyncio.gather(end, told, return_exceptions=True)

    async def _listen(self, worker: _Worker, wire: Wire) -> None:
        asking: set[asyncio.Task[None]] = set()
        async for said in wire.heard():
            if "ready" in said:
                worker.is_ready = True
                if not self._is_up and sum(each.is_ready for each in self._workers.values()) == self._count:
                    self._is_up = True
                    self._on_ready()
            elif "failed" in said and "answer" not in said:
                worker.failed = said["failed"]
            elif "ask" in said:
                task = asyncio.get_running_loop().create_task(self._relay(worker, wire, said))
                asking.add(task)
                task.add_done_callback(asking.discard)
            elif "answer" in said:
                told = worker.told.get(said["answer"])
                if told is not None and not told.done():
                    told.set_result(None if said.get("failed") else [said["value"]])
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _relay(self, asker: _Worker, wire: Wire, said: dict[str, Any]) -> None:
        """Ask the other workers, and tell what they answer within the time."""
        others = [w for w in self._workers.values() if w is not asker and w.is_ready and w.wire is not None]
        found = await asyncio.gather(*(self._tell(other, said) for other in others))
        values = [
            [other.number, answer[0]]
            for other, answer in zip(others, found, strict=True)
            if answer is not None
        ]
        wire.send({"ask": said["ask"], "values": values, "restarts": self._restarts})

    async def _tell(self, worker: _Worker, said: dict[str, Any]) -> Any:
        number = next(self._next)
        told = worker.told[number] = asyncio.get_running_loop().create_future()
        assert worker.wire is not None
        worker.wire.send({"tell": number, "what": said["what"], "given": said["given"]})
        try:
            async with asyncio.timeout(said["within"]):
                return await told
        except TimeoutError:
            return None
        finally:
            del worker.told[number]


def _send(worker: _Worker, name: signal.Signals) -> None:
    """Send a signal to a worker that has not ended."""
    if worker.process.pid is not None and worker.process.is_alive():
        os.kill(worker.process.pid, name)


def _how(process: BaseProcess) -> str:
    """How a process has ended."""
    code = process.exitcode
    if code is None:
        return "it does not answer"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
