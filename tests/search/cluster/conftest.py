"""A Ray cluster of two nodes on this machine: two raylets, each with its own store, ports and processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

#: bytes of each node's store of objects
_STORE = 100 * 1024 * 1024
#: a busy machine may not start Ray within the thirty seconds that it gives itself
_TRIES = 4


def _started(start: Callable[[], Any]) -> Any:
    for tried in range(_TRIES):
        try:
            return start()
        except Exception:
            if tried == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def node_ports() -> dict[str, int]:
    """Free ports for a node's helpers: told beforehand, the node does not wait until they have chosen."""
    names = (
        "metrics_agent_port",
        "metrics_export_port",
        "runtime_env_agent_port",
        "dashboard_agent_listen_port",
    )
    held = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    found = {name: int(one.getsockname()[1]) for name, one in zip(names, held, strict=True)}
    for one in held:
        one.close()
    return found


def two_nodes() -> Any:
    """A head node, and one that has the resource ``scoring``."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options = {"num_cpus": 2, "object_store_memory": _STORE}
    cluster = _started(
        lambda: Cluster(
            initialize_head=True, head_node_args={**options, **node_ports(), "include_dashboard": False}
        )
    )
    _started(lambda: cluster.add_node(**options, **node_ports(), resources={"scoring": 1}))
    return cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """The cluster; ``cluster.address`` is its head's."""
    pytest.importorskip("ray")
    made = two_nodes()
    yield made
    made.shutdown()
