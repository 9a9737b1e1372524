"""``planner search --engine openai``: over a server that is really killed, and over the lab's own models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from planner.cli.main import app
from search.log.comparison import difference
from search.log.store import SearchLog

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("scripted_server.py")
GRID = """
strategies = ["cot", "majority"]
samples = 8
block = 4
n = [1, 4]
group = 2
"""


class Server:
    """The scripted server as a process that can be killed and started again on its port."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.port)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().strip().rpartition(":")[2])

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            self._process = None


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.start()
    yield running
    running.kill()


@pytest.fixture
def campaign(tmp_path: Path, server: Server) -> Callable[..., Result]:
    """``planner search`` on eight problems against the server."""
    rows = [
        {
            "problem_id": f"p{i}",
            "family": "f",
            "domain": "text",
            "question": f"which is {i}?",
            "answer": str(i),
        }
        for i in range(8)
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "grid.toml").write_text(GRID)

    def run(log: str, *options: str) -> Result:
        return CliRunner().invoke(
            app,
            [
                *("search", str(tmp_path / "problems.jsonl"), "-o", str(tmp_path / log), "--json"),
                *("--grid", str(tmp_path / "grid.toml"), "--engine", "openai", "--policy", "m"),
                *("--base-url", f"http://127.0.0.1:{server.port}", "--engine-option", "parameters=1000"),
                *options,
            ],
        )

    return run


def parts(log: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in log.rglob("part-*.parquet")}


def when(log: Path, wanted: int, then: Callable[[], None]) -> threading.Thread:
    """Do something once a log has so many parts."""

    def watch() -> None:
        while len(parts(log)) < wanted:
            time.sleep(0.01)
        then()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_killed_server_ends_the_campaign_with_one_line_and_the_same_command_goes_on(
    tmp_path: Path, server: Server, campaign: Callable[..., Result]
) -> None:
    log = tmp_path / "log"
    killing = when(log, 8, server.kill)
    # one unit after the other, so that it is killed in the middle
    broken = campaign("log", "--patience", "0", "--in-flight", "1")
    killing.join()
    assert broken.exit_code == 2, broken.output
    assert broken.stderr.startswith("planner: ")
    assert broken.stderr.endswith("What was logged stays; the same command goes on from there\n")
    assert broken.stderr.count("\n") == 1
    before = parts(log)
    assert 8 <= len(before) < 16
    away = campaign("log", "--patience", "0")
    assert away.exit_code == 2
    assert "a server must be reachable, got" in away.stderr
    assert parts(log) == before

    server.start()
    again = campaign("log")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["rows"]["samples"] == 8 * 9
    assert {part: parts(log)[part] for part in before} == before  # nothing lost, nothing written again
    assert campaign("unbroken").exit_code == 0
    assert difference(SearchLog.open(log), SearchLog.open(tmp_path / "unbroken")) is None


def test_a_patient_campaign_outlives_its_server(
    tmp_path: Path, server: Server, campaign: Callable[..., Result]
) -> None:
    def restart() -> None:
        server.kill()
        time.sleep(0.5)
        server.start()

    restarting = when(tmp_path / "log", 8, restart)
    patient = campaign("log", "--patience", "60")
    restarting.join()
    assert patient.exit_code == 0, patient.output
    assert json.loads(patient.stdout)["rows"]["samples"] == 8 * 9
    samples = SearchLog.open(tmp_path / "log").read("samples", ["problem_id", "draw", "text"])
    assert samples.select("problem_id", "draw").is_unique().all()
    assert all("# " in text for text in samples["text"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--engine", "magic"), "an engine must be one of embedded, vllm, openai, got 'magic'"),
        (("--engine", "embedded"), "--base-url is for --engine openai, got 'http://127.0.0.1:"),
        (("--engine-option", "colour=red"), "must be one of name, tokenizer, api_key, dialect, "),
        (("--engine-option", "colour"), "an engine option is KEY=VALUE, got 'colour'"),
        (("--policy", "gpt"), "a model must be one that http://127.0.0.1"),
        (("--base-url", "http://127.0.0.1:1"), "--base-url without NAME= is given once, got"),
        (("--base-url", "m=http://127.0.0.1:1", "--patience", "0"), "a server must be reachable, got"),
        (("--prm-engine", "magic"), "a PRM engine must be one of embedded, vllm, got 'magic'"),
        (("--tokenizer", "/nowhere"), "a tokenizer is a folder with tokenizer.json, got '/nowhere'"),
    ],
)
def test_wrong_options_are_told_in_one_line_and_no_log_is_made(
    tmp_path: Path, campaign: Callable[..., Result], options: tuple[str, ...], said: str
) -> None:
    refused = campaign("log", *options)
    assert refused.exit_code == 2, refused.output
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_the_key_comes_from_the_environment_and_is_in_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, campaign: Callable[..., Result]
) -> None:
    monkeypatch.setenv("MY_KEY", "very-secret")
    done = campaign("log", "--api-key-env", "MY_KEY")
    assert done.exit_code == 0, done.output
    assert b"very-secret" not in b"".join(
        p.read_bytes() for p in (tmp_path / "log").rglob("*") if p.is_file()
    )
