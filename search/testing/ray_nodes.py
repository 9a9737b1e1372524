"""Ray clusters of several nodes on one machine, for tests and measurements of what happens when nodes die.

``NamespaceCluster``: each node has a network namespace, an address, processes, ``/dev/shm`` and a temporary
folder of its own; a bridge joins them. A node dies as one does whose plug is pulled. Needs root and iproute2.
``RayletCluster``: several raylets at one address, where that is not allowed.

A driver runs beside the head: ``cluster.command([...])`` with ``cluster.environment``.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["NamespaceCluster", "Node", "NodesError", "RayletCluster", "namespaces_refused"]

#: bytes of each node's store of objects
_STORE = 100 * 1024 * 1024
#: seconds within which a node starts, on a busy machine
_PATIENCE = 120.0
#: a head says within some seconds that a node is gone; Ray's own default is a minute
_HEALTH = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "4",
}
_PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "runtime_env_agent_port",
    "dashboard_agent_listen_port",
)


class NodesError(RuntimeError):
    """A node did not start."""


def namespaces_refused() -> str:
    """Why this process may not make network namespaces; "" where it may."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        return "ip (iproute2) and unshare (util-linux) are not installed"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--mount", "ip", "link", "add", "bridge0", "type", "bridge"],
        capture_output=True,
        text=True,
    )
    return tried.stderr.strip()


@dataclass
class Node:
    """A node of a ``NamespaceCluster``."""

    namespace: str
    address: str
    process: subprocess.Popen[bytes] = field(repr=False)


class NamespaceCluster:
    """A head at 10.77.0.1, and the nodes that are added. Ends with ``shutdown``."""

    def __init__(self, *, cpus: int = 2) -> None:
        self._name = f"ray{os.getpid()}x{secrets.token_hex(2)}"
        self._folder = Path(tempfile.mkdtemp(prefix="rn", dir="/tmp"))  # short, as sockets must be
        self._count = 0
        self._nodes: list[Node] = []
        self._first: subprocess.Popen[bytes] | None = None
        self.address = "10.77.0.1:6379"
        #: of nodes and drivers; the token admits them to this cluster
        self.environment = {
            **os.environ,
            **_HEALTH,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_DISABLE_IMPORT_WARNING": "1",
        }
        try:
            self._head(cpus)
        except BaseException:
            self.shutdown()
            raise

    def command(self, words: Sequence[str]) -> list[str]:
        """A command on the head's machine."""
        return ["ip", "netns", "exec", self._namespace(0), *words]

    def add_node(self, *, cpus: int = 2, resources: dict[str, float] | None = None) -> Node:
        """Another node, which is up when this returns."""
        self._count += 1
        number, name = self._count, self._namespace(self._count)
        address = f"10.77.0.{1 + number}"
        _ip("netns", "add", name)
        # the bridge's end has the number, so a node that comes after one that died is another machine
        pair = ("type", "veth", "peer", "name", "eth", "netns", name)
        _ip("-n", self._namespace(0), "link", "add", f"v{number}", *pair)
        _ip("-n", self._namespace(0), "link", "set", f"v{number}", "master", "bridge", "up")
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth")
        for link in ("lo", "eth"):
            _ip("-n", name, "link", "set", link, "up")
        own = f"mount -t tmpfs none {self._folder} && mount -t tmpfs none /dev/shm && exec"
        start = [*_start(cpus, address, resources), f"--address={self.address}", f"--temp-dir={self._folder}"]
        apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
        words = ["ip", "netns", "exec", name, *apart, "sh", "-c", f'{own} "$@"', "sh", *start]
        node = Node(name, address, self._begun(words, name))
        self._nodes.append(node)
        return node

    def remove_node(self, node: Node) -> None:
        """Pull the plug: the network ends first, so that nobody hears of it; then all processes."""
        self._nodes.remove(node)
        _ip("-n", node.namespace, "link", "set", "eth", "down")
        node.process.kill()
        node.process.wait()
        self._clear(node.namespace)

    def actors(self) -> list[int]:
        """Processes of actors, as this process numbers them."""
        names = [self._namespace(0), *(node.namespace for node in self._nodes)]
        return _actors({process for name in names for process in _inside(name)})

    def shutdown(self) -> None:
        """End everything. Safe to call twice."""
        for node in self._nodes:
            node.process.kill()
            node.process.wait()
            self._clear(node.namespace)
        self._nodes.clear()
        self._clear(self._namespace(0))
        if self._first is not None:
            self._first.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _head(self, cpus: int) -> None:
        name = self._namespace(0)
        _ip("netns", "add", name)
        _ip("-n", name, "link", "add", "bridge", "type", "bridge")
        _ip("-n", name, "addr", "add", "10.77.0.1/24", "dev", "bridge")
        for link in ("lo", "bridge"):
            _ip("-n", name, "link", "set", link, "up")
        start = [*_start(cpus, "10.77.0.1", None), "--head", "--port=6379", f"--temp-dir={self._folder}"]
        self._first = self._begun(self.command([*start, "--include-dashboard=false"]), name)

    def _begun(self, words: list[str], name: str) -> subprocess.Popen[bytes]:
        said = self._folder / f"{name}.log"
        with said.open("wb") as into:
            process = subprocess.Popen(
                words, env=self.environment, stdin=subprocess.DEVNULL, stdout=into, stderr=into
            )
        until = time.monotonic() + _PATIENCE
        while "Ray runtime started" not in said.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                process.wait()
                raise NodesError(f"a node must start, got {said.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        return process

    def _namespace(self, number: int) -> str:
        return f"{self._name}n{number}"

    def _clear(self, name: str) -> None:
        """End what runs in a namespace, and remove it."""
        for process in _inside(name):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


class RayletCluster:
    """Raylets at 127.0.0.1 by ``ray.cluster_utils``; with the methods of ``NamespaceCluster``."""

    def __init__(self, *, cpus: int = 2) -> None:
        from ray.cluster_utils import Cluster

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self._options = {"object_store_memory": _STORE}
        head = {**self._options, **_free_ports(), "num_cpus": cpus, "include_dashboard": False}
        self._cluster = _tried(lambda: Cluster(initialize_head=True, head_node_args=head))
        self.address = str(self._cluster.address)
        self.environment = dict(os.environ)

    def command(self, words: Sequence[str]) -> list[str]:
        """A command on the head's machine."""
        return [*words]

    def add_node(self, *, cpus: int = 2, resources: dict[str, float] | None = None) -> Any:
        """Another node."""
        asked = {**self._options, **_free_ports(), "num_cpus": cpus, "resources": resources or {}}
        return _tried(lambda: self._cluster.add_node(**asked))

    def remove_node(self, node: Any) -> None:
        """Kill its processes."""
        self._cluster.remove_node(node, allow_graceful=False)

    def actors(self) -> list[int]:
        """Processes of actors."""
        raylets = [
            held.process.pid
            for node in self._cluster.list_all_nodes()
            for held in node.all_processes["raylet"]
        ]
        listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in listed.splitlines()[1:]]
        return _actors({process for process, parent in pairs if parent in raylets})

    def shutdown(self) -> None:
        """End everything."""
        self._cluster.shutdown()


def _start(cpus: int, address: str, resources: dict[str, float] | None) -> list[str]:
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
        *(f"--num-cpus={cpus}", f"--node-ip-address={address}", f"--object-store-memory={_STORE}"),
        f"--resources={json.dumps(resources or {})}",
    ]


def _inside(namespace: str) -> list[int]:
    """Processes of a network namespace; none where it is gone."""
    found = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True)
    return [int(process) for process in found.stdout.split()]


def _actors(processes: Collection[int]) -> list[int]:
    """Those of them that are actors of ours: Ray titles a process by its actor's class."""
    out = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    found = [line.split(maxsplit=1) for line in out.splitlines()[1:]]
    return [
        int(process)
        for process, title in found
        if title.startswith(("ray::Worker", "ray::StudyWorker")) and int(process) in processes
    ]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _free_ports() -> dict[str, int]:
    """Ports of a node's helpers: told beforehand, the node does not wait until they have chosen."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in _PORTS]
    found = {name: int(one.getsockname()[1]) for name, one in zip(_PORTS, held, strict=True)}
    for one in held:
        one.close()
    return found


def _tried(start: Callable[[], Any], tries: int = 4) -> Any:
    """A busy machine may not start Ray within the thirty seconds that it gives itself."""
    for _ in range(tries - 1):
        try:
            return start()
        except Exception as error:
            print(f"a node did not start, trying again: {error}", file=sys.stderr)
    return start()
