"""Runs an application under uvicorn: binds safely, reloads on SIGHUP, ends well on SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import uvicorn
import uvloop
from fastapi import FastAPI

from planner.server.access.connection import patient
from planner.server.access.keys import Keys
from planner.server.access.origins import is_loopback
from planner.server.freeze import freeze_gc
from planner.server.service import Service
from search.errors import PlannerError, ServeError

__all__ = ["address_of", "bound", "check_bind", "run", "settings"]

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
