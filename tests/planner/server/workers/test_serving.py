"""``planner serve --workers 2`` as real processes: one server to clients, whatever happens to a worker."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serve_process import COMMAND, ENVIRONMENT, begun
from two_servers import TwoServers

from search.remote.fake_server import Fault

BOSS, FEW, OLD = "b" * 32, "f" * 32, "o" * 32
SEA: dict[str, Any] = {"model": "planner", "messages": [{"role": "user", "content": "tell me about the sea"}]}


def key(name: str, secret: str, more: str) -> str:
    return f'[keys.{name}]\nsha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"\n{more}\n'


def write_keys(file: Path, *, old: bool) -> None:
    """Give a server keys, ``OLD`` among them or not."""
    text = key("boss", BOSS, 'scopes = ["infer", "feedback", "admin"]')
    text += key("few", FEW, "requests_per_minute = 5")
    file.write_text(text + (key("old", OLD, "") if old else ""))


class Server:
    """A running server: its address, its parent, and its workers' process ids. Its keys are in a file."""

    def __init__(self, process: subprocess.Popen[str], url: str, folder: Path) -> None:
        self.process, self.url = process, url
        self.keys, self.errors = folder / "keys.toml", folder / "errors"

    @classmethod
    @contextmanager
    def of(cls, folder: Path, two: TwoServers) -> Iterator[Server]:
        keys = folder / "keys.toml"
        write_keys(keys, old=True)
        options = ["--models", str(two.file()), "--port", "0", "--workers", "2", "--keys", str(keys)]
        options += ["--decisions", str(folder / "log.db"), "--access-log", "json"]
        with begun(options, folder) as (process, url):
            yield cls(process, url, folder)

    def ask(self, path: str, secret: str = BOSS, body: Any = None, *, again: int = 0) -> httpx.Response:
        """On a connection of its own, so that any worker may take it; ``again``: tries where one breaks."""
        headers = {"authorization": f"Bearer {secret}"}
        for left in range(again, -1, -1):
            try:
                if body is None:
                    return httpx.get(self.url + path, headers=headers, timeout=60.0)
                return httpx.post(self.url + path, json=body, headers=headers, timeout=60.0)
            except httpx.TransportError:
                if not left:
                    raise
        raise AssertionError("unreachable")

    @property
    def workers(self) -> list[int]:
        """Process ids, by what the children of the parent run."""
        return [pid for pid in _processes() if _told(pid) == (self.process.pid, True)]

    def figures(self) -> dict[tuple[str, str], float]:
        """Sums over other labels: (name, worker) -> value."""
        sums: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(self.ask("/metrics").text):
            for sample in family.samples:
                name = sample.name, sample.labels["worker"]
                sums[name] = sums.get(name, 0.0) + sample.value
        return sums


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _told(pid: int) -> tuple[int, bool]:
    """The parent of a process, and whether it is a worker; (0, False) of one that has just gone."""
    try:
        parent = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]).split()[1]
        return int(parent), b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0, False


def until(true: Callable[[], bool]) -> None:
    """Wait for something that processes do."""
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.fixture
def server(tmp_path: Path, two: TwoServers) -> Iterator[Server]:
    with Server.of(tmp_path, two) as running:
        yield running


@pytest.mark.slow
def test_workers_are_one_server(server: Server, two: TwoServers) -> None:
    _shares_decisions(server)
    _shares_limits(server)
    _reloads_everywhere(server)
    _survives_a_worker(server)
    _drains(server, two)
    said = server.errors.read_text()
    assert "never awaited" not in said
    assert "Traceback" not in said
    assert "about the sea" not in said


def _shares_decisions(server: Server) -> None:
    """Whichever worker has answered, any of them knows at once."""
    ids = []
    for _ in range(12):
        found = server.ask("/v1/chat/completions", body=SEA)
        assert found.status_code == 200, found.text
        ids.append(found.json()["id"])
        told = server.ask("/v1/feedback", body={"id": ids[-1], "score": 0.5})
        assert told.status_code == 200, told.text
    for _ in range(4):
        listed = server.ask("/v1/decisions").json()["data"]
        assert sorted(one["id"] for one in listed) == sorted(ids)
        now = server.ask("/v1/now").json()
        assert (now["workers"], now["requests"]["total"], now["log"]["written"]) == (2, 12, 12)
    figures = server.figures()
    assert (
        sum(
            figures["planner_requests_total", worker]
            for worker in "01"
            if ("planner_requests_total", worker) in figures
        )
        == 12
    )
    assert all(figures["planner_up", worker] == 2.0 for worker in "01")
    assert 2.0 in (figures.get(("planner_workers", worker)) for worker in "01")


def _shares_limits(server: Server) -> None:
    """Five a minute, by all workers together: a bucket of five, which gets one more in twelve seconds."""
    statuses = [server.ask("/v1/chat/completions", FEW, SEA).status_code for _ in range(14)]
    assert set(statuses) == {200, 429}
    assert 5 <= statuses.count(200) <= 8


def _reloads_everywhere(server: Server) -> None:
    assert server.ask("/v1/models", OLD).status_code == 200
    write_keys(server.keys, old=False)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: [server.ask("/v1/models", OLD).status_code for _ in range(4)] == [401] * 4)
    write_keys(server.keys, old=True)
    reloaded = server.ask("/admin/reload", body={})
    assert (reloaded.status_code, reloaded.json()["workers"], reloaded.json()["keys"]) == (200, 2, 3)
    assert [server.ask("/v1/models", OLD).status_code for _ in range(8)] == [200] * 8


def _survives_a_worker(server: Server) -> None:
    """One is killed: the other answers all, and another one takes its place."""
    before = server.workers
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    for _ in range(6):
        assert server.ask("/v1/chat/completions", body=SEA, again=2).status_code == 200
    until(lambda: len(server.workers) == 2 and before[0] not in server.workers)
    until(lambda: server.ask("/v1/now").json()["workers"] == 2)
    assert before[1] in server.workers
    assert 1.0 in (server.figures().get(("planner_worker_restarts", worker)) for worker in "01")
    assert "it is started again" in server.errors.read_text()


def _drains(server: Server, two: TwoServers) -> None:
    """Told to end, it answers what it works on, and all its processes are gone."""
    for each in two.servers.values():
        each.fail("/v1/chat/completions", Fault.slow(1.5))
    found: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: found.append(server.ask("/v1/chat/completions", body=SEA)))
    before = sum(len(app.bodies) for app in two.apps.values())
    asked = sum(len(each.asked) for each in two.servers.values())
    asking.start()
    until(lambda: sum(len(each.asked) for each in two.servers.values()) > asked)
    workers = server.workers
    server.process.terminate()
    asking.join(60.0)
    assert [each.status_code for each in found] == [200]
    assert sum(len(app.bodies) for app in two.apps.values()) > before
    assert server.process.wait(60) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.slow
def test_a_worker_that_cannot_start_ends_the_server_with_its_reason(tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    models.write_text('[[policy]]\nname = "small"\nbase_url = "http://127.0.0.1:9"\n')
    more = ["--port", "0", "--workers", "2", "--decisions", str(tmp_path / "d.db")]
    ended = subprocess.run(
        [*COMMAND, "serve", "--models", str(models), *more],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=300,
    )
    assert ended.returncode == 2
    assert "planner: " in ended.stderr
    assert "127.0.0.1:9" in ended.stderr
    assert ended.stdout == ""
