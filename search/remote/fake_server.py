"""A public fake: a real socket that speaks HTTP/1.1, and fails when told to.

What it answers is an ``App``'s business (``search.engines.openai.fake`` is one); this file knows sockets and
faults. Faults are used up one request each, in order:

    server.fail("/v1/completions", Fault.busy(retry_after=1), Fault.drop(after=3))

Nothing but the standard library, so that what is tested is the client, not another framework.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

__all__ = ["App", "Asked", "FakeServer", "Fault", "Json", "Stream"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: method, path, headers (lower case) and the JSON body, None without one."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Json:
    """An answer at once."""

    content: Any
    status: int = 200


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer by server-sent events; the generator is closed when the client leaves."""

    events: AsyncGenerator[Any, None]


App = Callable[[Asked], Awaitable[Json | Stream]]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. Use the constructors below."""

    kind: str
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    after: int = 0
    seconds: float = 0.0

    @classmethod
    def answer(cls, status: int, body: bytes = b"", kind: str = "text/plain") -> Fault:
        """Any status and any body."""
        return cls("answer", status, (("Content-Type", kind),), body)

    @classmethod
    def busy(cls, retry_after: float | str | None = None, status: int = 429) -> Fault:
        """429 or 503, with ``Retry-After``."""
        headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
        return cls("answer", status, headers, b'{"error": {"message": "too many requests"}}')

    @classmethod
    def drop(cls, after: int = 0) -> Fault:
        """The connection is cut: before the answer, or after so many events of it."""
        return cls("drop", after=after)

    @classmethod
    def garbage(cls, after: int = 0, line: bytes = b"data: {]\n\n") -> Fault:
        """A stream with a line that is none, after so many events."""
        return cls("garbage", body=line, after=after)

    @classmethod
    def end(cls, after: int = 0) -> Fault:
        """A stream that ends in good order, but early and without [DONE]."""
        return cls("end", after=after)

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """So many seconds before the answer."""
        return cls("slow", seconds=seconds)

    @classmethod
    def silent(cls) -> Fault:
        """No answer, ever."""
        return cls("slow", seconds=1e9)


class FakeServer:
    """Listens on 127.0.0.1, on a thread and an event loop of its own; ``with`` starts and stops it.

    ``asked`` holds every request that came, ``left`` counts the streams that a client left early.
    """

    def __init__(self, app: App, port: int = 0) -> None:
        self._app = app
        self.port = port
        self.asked: list[Asked] = []
        self.left = 0
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self.port}"

    def fail(self, path: str, *faults: Fault) -> None:
        """The next requests to a path go wrong like this."""
        self._faults[path].extend(faults)

    def recover(self) -> None:
        """Forget the faults that have not met a request yet."""
        self._faults.clear()

    def __enter__(self) -> FakeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the same port as before where there was one."""
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="fake-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), loop).result()

    def stop(self) -> None:
        """Cut every connection and refuse new ones, as a process that is killed does."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._cut(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        self._loop = self._thread = None

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for _ in range(3):  # connections that were just accepted begin
            await asyncio.sleep(0)
        own = asyncio.current_task()
        # connections that are answered, and those that are still being accepted
        while tasks := [task for task in asyncio.all_tasks() if task is not own]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # transports that were aborted close in the next turn
        await asyncio.get_running_loop().shutdown_asyncgens()

    # -- one connection -------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (asked := await _read(reader)) is not None:
                self.asked.append(asked)
                if not await self._answer(asked, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the server stops: nobody is there to hear of it
        finally:
            writer.transport.abort()

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may be used again."""
        waiting = self._faults[asked.path]
        fault = waiting.popleft() if waiting else None
        if fault is not None and fault.kind == "slow":
            if await _left(reader, fault.seconds):
                return False
            fault = None
        if fault is not None and fault.kind == "answer":
            writer.write(_head(fault.status, dict(fault.headers), len(fault.body)) + fault.body)
            await writer.drain()
            return True
        if fault is not None and fault.kind == "drop" and fault.after == 0:
            return False
        answer = await self._app(asked)
        if isinstance(answer, Json):
            body = json.dumps(answer.content).encode()
            writer.write(_head(answer.status, {"Content-Type": "application/json"}, len(body)) + body)
            await writer.drain()
            return True
        return await self._stream(answer, fault, reader, writer)

    async def _stream(
        self,
        answer: Stream,
        fault: Fault | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        # said, or a client might send its next question into a connection that is about to close
        head = {"Content-Type": "text/event-stream; charset=utf-8", "Connection": "close"}
        writer.write(_head(200, head, None))
        gone = asyncio.ensure_future(reader.read(1))
        sent = 0
        try:
            async for event in answer.events:
                if fault is not None and sent == fault.after:
                    if fault.kind == "garbage":
                        writer.write(_chunk(fault.body))
                        fault = None
                    else:
                        if fault.kind == "end":
                            writer.write(_chunk(b""))
                        await writer.drain()
                        return False
                writer.write(_chunk(b"data: " + json.dumps(event).encode() + b"\n\n"))
                await writer.drain()
                sent += 1
                if gone.done():
                    self.left += 1
                    return False
            writer.write(_chunk(b"data: [DONE]\n\n") + _chunk(b""))
            await writer.drain()
            return False
        except ConnectionError:
            self.left += 1
            raise
        finally:
            await answer.events.aclose()
            gone.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await gone


async def _left(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the client leaves within so many seconds."""
    try:
        await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return False
    return True


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection; None when there is none."""
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, json.loads(raw) if raw else None)


def _head(status: int, headers: Mapping[str, str], length: int | None) -> bytes:
    how = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items()), how]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)
