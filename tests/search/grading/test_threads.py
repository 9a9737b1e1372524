"""Threads of graders: bounded, in order of asking, and none of them kept alive for nothing."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from search.grading.threads import GraderThreads


def test_no_more_run_than_allowed_and_all_are_done() -> None:
    threads, go, running = GraderThreads(2), threading.Event(), threading.Semaphore(0)

    def work() -> str:
        running.release()
        assert go.wait(20.0)
        return threading.current_thread().name

    futures = [threads.submit(work) for _ in range(5)]
    assert running.acquire(timeout=20.0)
    assert running.acquire(timeout=20.0)
    assert not running.acquire(blocking=False)
    assert futures[4].cancel()
    go.set()
    assert [future.result(20.0) for future in futures[:4]] == ["grader"] * 4


def test_an_error_is_told_to_whoever_waits_and_ends_no_other() -> None:
    threads = GraderThreads(1)

    def fail() -> None:
        raise ValueError("no")

    failed: Future[None] = threads.submit(fail)
    assert threads.submit(lambda: 7).result(20.0) == 7
    with pytest.raises(ValueError, match="no"):
        failed.result(20.0)


def test_each_domain_has_its_own() -> None:
    assert GraderThreads.of("a") is GraderThreads.of("a")
    assert GraderThreads.of("a") is not GraderThreads.of("b")
    with pytest.raises(ValueError, match="at least 1 thread"):
        GraderThreads(0)
