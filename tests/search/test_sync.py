"""Synchronous faces: from plain code, inside a running loop, from many threads, interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from search.sync import on_this_loop, run_aside, run_sync


async def loop_id() -> int:
    await asyncio.sleep(0)
    return id(asyncio.get_running_loop())


def test_it_returns_what_the_coroutine_returns_always_on_one_loop() -> None:
    assert run_sync(loop_id()) == run_sync(loop_id())


async def test_it_works_inside_a_running_loop() -> None:
    assert run_sync(loop_id()) != id(asyncio.get_running_loop())


def test_many_threads_share_the_loop() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: run_sync(loop_id()), range(16)))) == 1


def test_errors_come_through() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        run_sync(fail())


def test_a_call_from_its_own_loop_is_refused() -> None:
    async def nested() -> int:
        return run_sync(loop_id())

    with pytest.raises(RuntimeError, match="must not be called on its own loop"):
        run_sync(nested())


def test_a_coroutine_that_cancels_itself_says_so() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_sync(cancelled())


def test_an_interrupt_cancels_the_coroutine_and_waits_for_its_cleaning_up() -> None:
    cleaned = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    async def work() -> None:
        try:
            signal.pthread_kill(main, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    # a process that was started in the background ignores the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_sync(work())
    finally:
        signal.signal(signal.SIGINT, before)
    assert cleaned.is_set()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_a_loop_of_its_own() -> None:
    run_sync(loop_id())
    child = os.fork()
    if child == 0:
        os._exit(0 if run_sync(loop_id()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_work_aside_runs_on_the_shared_loop_while_this_one_is_free() -> None:
    assert await run_aside(loop_id()) == run_sync(loop_id()) != id(asyncio.get_running_loop())

    async def nested() -> int:
        return await run_aside(loop_id())

    assert run_sync(nested()) == run_sync(loop_id())


async def test_whoever_is_cancelled_cancels_the_work_aside() -> None:
    ended, began = threading.Event(), asyncio.Event()
    started = on_this_loop(lambda _: began.set())

    async def endless() -> None:
        started(None)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.ensure_future(run_aside(endless()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 60)


async def test_what_is_told_from_elsewhere_arrives_here_in_order() -> None:
    heard: list[tuple[int, int]] = []
    tell = on_this_loop(lambda number: heard.append((number, threading.get_ident())))

    async def count() -> None:
        for number in range(9):
            tell(number)

    await run_aside(count())
    assert heard == [(number, threading.get_ident()) for number in range(9)]
