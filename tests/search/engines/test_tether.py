"""Processes in a process of their own, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from search.engines.tether import MARK, Tether

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("tethered_host.py")


def lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def gone(processes: list[int], within: float = 20.0) -> bool:
    until = time.monotonic() + within
    while any(map(lives, processes)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(lives, processes))


@contextmanager
def host(how: str = "hold") -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), how],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    held = [int(number) for number in process.stdout.readline().split()]
    try:
        yield process, held
    finally:
        for number in (process.pid, *held):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("how", ["hold", "forget"])
def test_what_ignores_every_signal_ends_with_its_host(how: str, number: signal.Signals) -> None:
    with host(how) as (process, held):
        assert len(held) == 2
        for one in held:
            os.kill(one, signal.SIGTERM)
        assert all(map(lives, held))
        process.send_signal(number)
        process.wait(timeout=20)
        assert gone(held)


def test_a_group_that_is_killed_whole_leaves_nobody_in_another_session() -> None:
    with host() as (process, held):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
        assert gone(held)


def test_cutting_ends_what_is_held_and_the_host_lives() -> None:
    with host("cut") as (process, held):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "cut\n"
        assert not any(map(lives, held))
        assert process.poll() is None


def test_a_tether_holds_its_own_only() -> None:
    one, other = Tether(), Tether()
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    held = subprocess.Popen(sleep, env={**os.environ, **one.variable})
    with other.holding():
        kept = subprocess.Popen(sleep)
    assert MARK not in os.environ
    free = subprocess.Popen(sleep)
    one.cut()
    one.cut()
    assert held.wait(timeout=20) == -signal.SIGKILL
    assert kept.poll() is None
    other.cut()
    assert kept.wait(timeout=20) == -signal.SIGKILL
    assert free.poll() is None
    free.kill()
    free.wait()
