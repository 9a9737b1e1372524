"""Runs an application under uvicorn: binds safely, reloads on SIGHUP, ends well on SIGTERM.

A connection must say what it wants in time and in few words: uvicorn's own waits for ever and takes headers
of any length.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import uvicorn
import uvloop
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from planner.server.access.exchange import REQUEST_ID, request_id, with_defaults
from planner.server.access.keys import Keys
from planner.server.access.origins import is_loopback
from planner.server.current import freeze_gc
from planner.server.refusal import Refusal
from planner.server.service import Service
from search.errors import PlannerError, ServeError

__all__ = [
    "address_of",
    "authority",
    "bound",
    "check_bind",
    "patient",
    "run",
    "settings",
]


def authority(url: bytes) -> bytes:
    """Host and port of the target of a request; b"" where it names none.

    >>> authority(b"http://evil.example:80/v1/models"), authority(b"*")
    (b'evil.example:80', b'')
    """
    _, found, rest = url.partition(b"://")
    return re.split(rb"[/?#]", rest, maxsplit=1)[0] if found else b""


def patient(seconds: float, header: int) -> type[asyncio.Protocol]:
    """A protocol class whose connections are closed when a request's head takes longer than ``seconds``.

    A head of more than ``header`` bytes is answered with 431 as soon as so many have come.
    """

    class Patient(HttpToolsProtocol):
        _hasty: asyncio.TimerHandle | None = None
        _in_head = False
        _head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._begin()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head:
                # what came with the end of another request counts too: at most one read of it
                self._head_bytes += len(data)
                if self._head_bytes > header and not self.transport.is_closing():
                    self._refuse(431, f"headers have at most {header} bytes, got more", "too_large")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head, self._head_bytes = True, 0
            self._begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._end()
            if not self.url.startswith(b"/"):  # a whole URL, whose host counts in place of the header's
                host = authority(self.url)
                others = [pair for pair in self.headers if pair[0] != b"host"]
                self.headers[:] = [(b"host", host), *others]
            super().on_headers_complete()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, f"a request must be HTTP, got none: {msg}"[:200], "invalid_http")

        def _refuse(self, status: int, words: str, code: str) -> None:
            """Answer what is no request, and close."""
            said = json.dumps(Refusal(words, status, code=code).body).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(said)).encode()),
                (b"connection", b"close"),
            ]
            own = [(REQUEST_ID, request_id(None))]
            lines = [b"%s: %s\r\n" % pair for pair in with_defaults(headers, own)]
            self.transport.write(STATUS_LINE[status] + b"".join(lines) + b"\r\n" + said)
            self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end()
            super().connection_lost(exc)

        def _begin(self) -> None:
            if self._hasty is None:
                self._hasty = self.loop.call_later(seconds, self.transport.close)

        def _end(self) -> None:
            if self._hasty is not None:
                self._hasty.cancel()
                self._hasty = None

    return Patient


_LOGGER = logging.getLogger("planner.server")

#: open files that are enough for anybody
_FILES = 65_536


def check_bind(host: str, keys: Keys) -> None:
    """Raise ServeError for an address that others can reach when no keys are set up."""
    if not is_loopback(host) and not keys:
        raise ServeError(
            "a server that others can reach needs keys (--keys FILE or PLANNER_API_KEY), "
            f"got host {host!r} without"
        )


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound, and closed at the end. Nobody is answered before ``run`` listens.

    Port 0 takes a free one. Raises ServeError that names the address, where it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # a loop sends at once (TCP_NODELAY) only where a socket says that it is TCP; else answers wait 40 ms
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, port))
        except OSError as error:
            raise _taken(host, port, error) from error
        yield made


def run(
    app: FastAPI,
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 8400,
    grace: float = 30.0,
    on_ready: Callable[[str], None] | None = None,
    listening: socket.socket | None = None,
) -> None:
    """Serve until told to stop. ``on_ready`` hears the address once requests are taken.

    ``listening``: a socket that is ``bound`` already. Raises ServeError for a bind that is refused, or fails.
    """
    check_bind(host, service.keys)
    config = settings(app, service, grace=grace)
    server = uvicorn.Server(config)
    _allow_files()
    with bound(host, port) if listening is None else nullcontext(listening) as taken:
        number = taken.getsockname()[1]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                taken.listen()
            except OSError as error:  # another one has begun to listen since
                raise _taken(host, number, error) from error
            runner.run(_serve(server, service, taken, address_of(host, taken), on_ready))


def address_of(host: str, taken: socket.socket) -> str:
    """The address of a server that listens on this socket."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{taken.getsockname()[1]}"


def _allow_files() -> None:
    """As many open files as the system allows: each client and each sample in flight has a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _taken(host: str, port: int, error: OSError) -> ServeError:
    """Why an address cannot be had."""
    if error.errno == errno.EADDRINUSE:
        return ServeError(f"a port must be free (--port 0 takes one that is), got {port} in use on {host}")
    if isinstance(error, socket.gaierror):
        return ServeError(f"a host must be an address of this machine, got {host!r}")
    return ServeError(f"an address must be one to listen on, got {host} port {port}: {error.strerror}")


def settings(app: FastAPI, service: Service, *, grace: float = 30.0) -> uvicorn.Config:
    """How uvicorn runs an application; ``grace`` in seconds, for requests that are worked on at the end."""
    sizes = service.rules.sizes
    return uvicorn.Config(
        app,
        http=patient(sizes.seconds, sizes.header + 4096),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=int(max(1, min(30, sizes.seconds))),
        timeout_graceful_shutdown=int(grace),
        proxy_headers=False,
    )


async def _serve(
    server: uvicorn.Server,
    service: Service,
    bound: socket.socket,
    address: str,
    on_ready: Callable[[str], None] | None,
) -> None:
    reloads: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        try:
            await service.reload()
        except (PlannerError, OSError):
            return  # said by the service; the old one stays

    def hang_up() -> None:
        task = asyncio.get_running_loop().create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    def end(*_: object) -> None:
        server.should_exit = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
    # uvicorn raises the signal again once it has ended well; that is no way to die then
    signal.signal(signal.SIGTERM, end)
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    freeze_gc()
    if server.started and on_ready is not None:
        on_ready(address)
    await serving
