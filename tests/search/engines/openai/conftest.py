"""A scripted policy behind a fake server that fails when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.remote.fake_server import FakeServer

QUESTION = "what is 1 + 2?"


def write(text: str, rng: Any) -> str:
    """Two lines and an answer; long enough to be cut off in the middle."""
    written = text.partition(TURN)[2]
    lines = [f"think {rng.randrange(10)} of it", f"hence {rng.randrange(10)} it is", "# 3"]
    return "\n".join(lines[written.count("\n") :]) if not written or written.endswith("\n") else "...\n# 3"


@pytest.fixture
def behind() -> ScriptedEngine:
    return ScriptedEngine(write, context=512)


@pytest.fixture
def app(behind: ScriptedEngine) -> FakeOpenAI:
    return FakeOpenAI(behind)


@pytest.fixture
def server(app: FakeOpenAI) -> Iterator[FakeServer]:
    with FakeServer(app) as running:
        yield running


Connect = Callable[..., OpenAIEngine]


@pytest.fixture
async def connect(server: FakeServer) -> AsyncIterator[Connect]:
    """``OpenAIEngine.connect`` to the fake server, quick to give up; closes what it made."""
    opened: list[OpenAIEngine] = []

    def make(**options: Any) -> OpenAIEngine:
        engine = OpenAIEngine.connect(server.url, **{"parameters": 1000, "patience": 0.0, **options})
        opened.append(engine)
        return engine

    yield make
    for engine in opened:
        await engine.close()


Collect = Callable[..., Awaitable[list[Any]]]
