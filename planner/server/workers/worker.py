"""A worker: one process of a server, with models and planner of its own, on the address that all share."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from planner.server.settings import ServeSettings
from planner.server.workers.levels import Descriptor
from search.errors import PlannerError

__all__ = ["Job", "work"]


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
    from planner.server.workers.linked import LinkedPeers

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
