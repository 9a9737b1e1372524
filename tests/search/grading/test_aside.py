"""Work that waits leaves the loop to others; work that does not stays where it is."""

from __future__ import annotations

import asyncio
import threading

import pytest

from search.grading.aside import aside
from search.grading.text import TextDomain


async def test_what_waits_leaves_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    domain, begun, released = TextDomain(), threading.Event(), threading.Event()
    monkeypatch.setattr(domain, "waits", True)

    def work(number: int, *, more: int) -> int:
        begun.set()
        assert released.wait(20.0), "only the loop can release it"
        return number + more

    waiting = asyncio.ensure_future(aside(domain, work, 1, more=2))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    assert not waiting.done()
    released.set()
    assert await waiting == 3


async def test_what_does_not_wait_is_done_at_once() -> None:
    step = aside(TextDomain(), threading.current_thread)
    with pytest.raises(StopIteration) as found:
        step.send(None)  # it never suspends
    assert found.value.value is threading.current_thread()
