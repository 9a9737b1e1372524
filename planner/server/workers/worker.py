"""Workers: the processes of a server, with models and planner of their own, on the address that all share."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from planner.server.settings import ServeSettings
from planner.server.workers.levels import Descriptor, SharedLevels
from planner.server.workers.parent import Parent
from search.errors import PlannerError

__all__ = [
    "Job",
    "serve_together",
    "work",
]


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker of a server is given.

    Parameters
    ----------
    settings, environment:
        As for a server of one process.
    count:
        Workers in all.
    listening:
        The socket that all share.
    rates:
        The file with the buckets and accounts of all keys.
    """

    settings: ServeSettings
    environment: Mapping[str, str]
    count: int
    listening: socket.socket
    rates: Descriptor


def work(number: int, end: socket.socket, given: Job) -> None:
    """The whole life of a worker's process. ``end``: its end of the socket pair."""
    for name in (signal.SIGINT, signal.SIGHUP):  # the terminal's are for the parent, which passes them on
        signal.signal(name, signal.SIG_IGN)
    from planner.server.access.exchange import log_to_stderr
    from planner.server.access.limits import Rates, Spending
    from planner.server.app import create_app
    from planner.server.run import run
    from planner.server.serve import service_of
    from planner.server.workers.levels import SharedLevels
    from planner.server.workers.peers import LinkedPeers

    log_to_stderr(number)
    try:
        service = service_of(given.settings, given.environment)
    except (PlannerError, OSError) as error:
        end.sendall(json.dumps({"failed": str(error)}).encode() + b"\n")
        sys.exit(2)
    levels = SharedLevels(given.rates.number)
    service.rates = Rates(levels=levels)
    service.spending = Spending(levels=levels)
    service.peers = LinkedPeers(number, given.count, end)
    run(
        create_app(service),
        service,
        host=given.settings.host,
        listening=given.listening,
        on_ready=lambda _: service.peers.ready(),
    )
    levels.close()


def serve_together(
    settings: ServeSettings,
    environment: Mapping[str, str],
    listening: socket.socket,
    on_ready: Callable[[], None],
) -> None:
    """Serve with ``settings.workers`` processes until told to stop.

    ``listening``: the bound socket that they share. Connections that wait in it are taken by whichever worker
    lives, so that none is lost with one that dies. Raises ServeError where a worker cannot start, and
    KeyboardInterrupt once all have ended after Ctrl-C.
    """
    # new interpreters: what a library holds (threads, locks, devices) does not survive a fork
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryFile() as rates:
        SharedLevels.make(rates.fileno())

        def start(number: int, end: socket.socket) -> BaseProcess:
            given = Job(settings, dict(environment), settings.workers, listening, Descriptor(rates.fileno()))
            process = context.Process(target=work, args=(number, end, given), name=f"planner-worker-{number}")
            process.start()
            return process

        if asyncio.run(Parent(settings.workers, start, on_ready=on_ready).run()) is signal.SIGINT:
            raise KeyboardInterrupt
