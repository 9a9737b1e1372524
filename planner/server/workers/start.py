"""Starts a server of several processes on one address."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess

from planner.server.settings import ServeSettings
from planner.server.workers.levels import Descriptor, SharedLevels
from planner.server.workers.parent import Parent
from planner.server.workers.worker import Job, work

__all__ = ["serve_together"]


def serve_together(
    settings: ServeSettings,
    environment: Mapping[str, str],
    listening: socket.socket,
    on_ready: Callable[[], None],
) -> None:
    """Serve with ``settings.workers`` processes until told to stop.

    ``listening``: the bound socket that they share. Connections that wait in it are taken by whichever worker
    lives, so that none is lost with one that dies. Raises ServeError where a worker cannot start.
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

        asyncio.run(Parent(settings.workers, start, on_ready=on_ready).run())
