"""A server before a policy's own server that answers as it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from houses import House
from replay import Replay

from planner.server.direct.upstream import Upstream
from planner.server.service import Service
from search.remote.fake_server import FakeServer


@pytest.fixture
def replay() -> Replay:
    """What the policy's server says."""
    return Replay()


@pytest.fixture
def policy(replay: Replay) -> Iterator[FakeServer]:
    """The policy's own server."""
    with FakeServer(replay) as server:
        yield server


@pytest.fixture
def behind(
    service_of: Callable[..., Service], serving: Callable[[Service], House], policy: FakeServer
) -> House:
    """A planner's server before it."""
    return serving(service_of(upstream=Upstream(policy.url, "served", "small")))
