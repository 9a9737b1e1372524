"""Groups of answers for an event loop: comparing may wait for other processes, a deadline does not.

What is not compared when the time is up is compared by what is known by then, so that a request ends with the
best answer so far. The comparing that was under way stops at its next pair; what it learned is remembered.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence

from search.grading.protocol import Domain
from search.problem import Problem
from search.votes import group

__all__ = ["GRACE", "grouped"]

#: seconds that a last vote may take where no time is left: the usual answers need a few milliseconds
GRACE = 0.1


class _StoppedError(Exception):
    """Nobody waits for this comparing any more."""


async def grouped(
    problem: Problem,
    domain: Domain,
    answers: Sequence[str | None],
    known: Sequence[str] = (),
    *,
    seconds: float = math.inf,
) -> list[int]:
    """As ``search.votes.group``, on a thread where the domain waits for other processes.

    ``seconds``: how long that may take; with none left, nothing is waited for.
    """
    if not domain.waits:
        return group(problem, domain, answers, known)
    if seconds <= 0.0:
        return group(problem, domain, answers, known, equal=domain.equal_so_far)
    stop = threading.Event()

    def equal(problem: Problem, first: str, second: str) -> bool:
        if stop.is_set():
            raise _StoppedError
        return domain.equal(problem, first, second)

    work = asyncio.ensure_future(asyncio.to_thread(group, problem, domain, answers, known, equal=equal))
    try:
        done, _ = await asyncio.wait({work}, timeout=seconds if math.isfinite(seconds) else None)
    finally:
        stop.set()
        # whoever is cancelled, or has no more time, leaves the work to end by itself
        work.add_done_callback(_heard)
    return work.result() if done else group(problem, domain, answers, known, equal=domain.equal_so_far)


def _heard(work: asyncio.Future[list[int]]) -> None:
    """Take note of how it ended: an error of work that was left matters to nobody."""
    if not work.cancelled():
        work.exception()
