"""Running servers of the tests of this folder, and what their policies write."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

from planner.server.decisions.recorder import DecisionQuery, Record
from planner.server.request.ask import Turn
from planner.server.service import Service
from search.engines.protocol import Engine
from search.engines.scripted import TURN

QUESTION = "work out the sum of 3 + 41 + 7"


def writes(text: str, rng: Random) -> str:
    """Right in six of ten, in two steps."""
    right = rng.random() < 0.6
    if text.endswith("\n"):
        return "# 51" if right else f"# {rng.randint(1, 99)}"
    return "3 + 41 = 44\n# 51" if right else f"hm\n# {rng.randint(1, 99)}"


def rendered(turns: Any) -> tuple[int, ...]:
    """A chat template over characters: ``role: text`` lines."""
    talk: list[Turn] = list(turns)
    return tuple(map(ord, "".join(f"{turn['role']}: {turn['content']}\n" for turn in talk) + TURN))


@dataclass
class House:
    """A running server and what is behind it."""

    service: Service
    url: str
    engines: dict[str, Engine] = field(default_factory=dict)

    @property
    def v1(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.url}/v1"


def records(house: House) -> list[Record]:
    """What the server has recorded, oldest first; a recorder in memory does not wait."""
    return [*reversed(asyncio.run(house.service.recorder.search(DecisionQuery(limit=1000))))]


@contextmanager
def held(house: House, body: dict[str, Any], true: Callable[[], bool] | None = None) -> Iterator[None]:
    """A client that has asked and waits, from when ``true`` (its request runs) to the end; then it leaves."""
    began = true or (lambda: house.service.admission.running == 1)
    content = json.dumps(body).encode()
    address = urlsplit(house.v1)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port)) as client:
        head = f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        client.sendall(head.encode() + content)
        until(began)
        yield


def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens on the server's thread."""
    for _ in range(2000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it never came true")
