"""Servers that really run: uvicorn on a thread of the test's own, over scripted models."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from planner.planner import Planner
from planner.server.app import create_app
from planner.server.current import Current
from planner.server.models import Models
from planner.server.run import settings
from planner.server.service import Service
from search.engines.protocol import Engine
from search.engines.scripted import ScriptedEngine
from search.rewards.scripted import ScriptedReward

sys.path.insert(0, str(Path(__file__).parent))

from houses import House, rendered, writes


@pytest.fixture(scope="session")
def artefact(planner: Planner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic planner in a folder."""
    folder = tmp_path_factory.mktemp("served") / "planner"
    planner.save(folder)
    return folder


@pytest.fixture
def service_of(artefact: Path, planner: Planner) -> Callable[..., Service]:
    """Makes a service: ``engines`` and ``rewards`` replace scripted ones by name, the rest is Service's."""

    def make(
        engines: dict[str, Engine] | None = None, rewards: dict[str, Any] | None = None, **parts: Any
    ) -> Service:
        every: dict[str, Engine] = {
            name: ScriptedEngine(writes, name=name, parameters=card.parameters, context=4096)
            for name, card in planner.policies.items()
        }
        every |= engines or {}
        scored = {
            name: ScriptedReward(
                lambda question, steps: 0.9 if "51" in steps[-1] else 0.3,
                name=name,
                parameters=card.parameters,
                context=4096,
            )
            for name, card in planner.prms.items()
        }
        scored |= rewards or {}
        models = Models(every, scored, dict.fromkeys(every, rendered))
        folder = parts.pop("folder", artefact)
        return Service(Current(folder, models.cards, allow_foreign=True), models, **parts)

    return make


@pytest.fixture
def serving() -> Iterator[Callable[[Service], House]]:
    """Starts servers, and stops them at the end of the test."""
    started: list[_Thread] = []

    def start(service: Service) -> House:
        thread = _Thread(service)
        started.append(thread)
        thread.begin()
        return House(service, thread.url, dict(service.models.engines))

    yield start
    for thread in started:
        thread.end()


class _Thread:
    """uvicorn on a loop and a thread of its own."""

    def __init__(self, service: Service) -> None:
        config = settings(create_app(service), service, grace=2.0)
        self._server = uvicorn.Server(config)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        self._thread.start()
        assert self._ready.wait(30.0)

    def end(self) -> None:
        self._server.should_exit = True
        self._thread.join(30.0)
        self._socket.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        async def serve() -> None:
            serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.005)
            self._ready.set()
            await serving

        asyncio.run(serve())


@pytest.fixture
def house(service_of: Callable[..., Service], serving: Callable[[Service], House]) -> House:
    """A server as it comes."""
    return serving(service_of())
