"""Groups of answers for an event loop: comparing may wait for other processes, a deadline does not.

What is not compared when the time is up is compared by what is known by then, so that a request ends with the
best answer so far. The comparing that was under way stops at its next pair; what it learned is remembered.
It runs on threads of its domain (``search.grading.threads``): one that never ends delays no other.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from search.grading.protocol import Domain
from search.grading.registry import domain
from search.grading.threads import GraderThreads
from search.problem import Problem
from search.voting.votes import Equal, group

__all__ = ["GRACE", "Groups", "comparing_within", "grouped", "is_foreign", "read_answer"]

#: seconds that a last vote may take where no time is left: the usual answers need a few milliseconds
GRACE = 0.1

#: most seconds of one comparing
_LONGEST: ContextVar[float] = ContextVar("longest", default=math.inf)


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
    """As ``search.voting.votes.group``, on a thread where the domain waits for other processes, or is a
    plug-in, of which nobody knows whether it does.

    ``seconds``: how long that may take, ``comparing_within`` at most; with none left, nothing is waited for.
    """
    if domain.exact or not (domain.waits or is_foreign(domain)):
        return group(problem, domain, answers, known)
    so_far = partial(group, problem, domain, answers, known, equal=_equal_so_far(domain))
    seconds = min(seconds, _LONGEST.get())
    if seconds <= 0.0:
        return so_far()
    stop = threading.Event()

    def equal(problem: Problem, first: str, second: str) -> bool:
        if stop.is_set():
            raise _StoppedError
        return domain.equal(problem, first, second)

    compare = partial(group, problem, domain, answers, known, equal=equal)
    work = asyncio.wrap_future(GraderThreads.of(domain.name).submit(compare))
    work.add_done_callback(_heard)
    try:
        done, _ = await asyncio.wait({work}, timeout=seconds if math.isfinite(seconds) else None)
    finally:
        stop.set()
        if not work.done():  # whoever is cancelled, or has no more time, leaves it to end by itself
            work.cancel()
    return work.result() if done else so_far()


class Groups:
    """Groups of answers that come one after the other; ``answers``: the earliest of each stands for it."""

    def __init__(self, problem: Problem) -> None:
        self.answers: list[str] = []
        self._numbers: dict[str | None, int] = {None: -1}
        self._problem = problem
        self._domain = domain(problem.domain)

    async def numbers(self, answers: Sequence[str | None], *, seconds: float) -> list[int]:
        """As ``grouped``, with the groups that there are already; what was compared is not compared again."""
        new = [one for one in dict.fromkeys(answers) if one is not None and one not in self._numbers]
        if new:
            found = await grouped(self._problem, self._domain, new, tuple(self.answers), seconds=seconds)
            for answer, number in zip(new, found, strict=True):
                if number == len(self.answers):
                    self.answers.append(answer)
                self._numbers[answer] = number
        return [self._numbers[answer] for answer in answers]


async def read_answer(
    problem: Problem, domain: Domain, text: str, *, seconds: float = math.inf
) -> str | None:
    """As ``domain.read``, on a thread for a plug-in; None, as of an unreadable text, where that takes longer
    than so many seconds."""
    if not is_foreign(domain):
        return domain.read(problem, text)
    seconds = min(seconds, _LONGEST.get())
    work = asyncio.wrap_future(GraderThreads.of(domain.name).submit(partial(domain.read, problem, text)))
    work.add_done_callback(_heard)
    done, _ = await asyncio.wait({work}, timeout=seconds if math.isfinite(seconds) else None)
    if not done:
        work.cancel()
    return work.result() if done else None


def is_foreign(domain: Domain) -> bool:
    """Whether a domain comes from elsewhere than this project."""
    return type(domain).__module__.partition(".")[0] not in ("search", "training")


def _equal_so_far(domain: Domain) -> Equal:
    """The equality that waits for nothing."""
    if is_foreign(domain) and type(domain).equal_so_far is Domain.equal_so_far:
        return lambda problem, first, second: first == second
    return domain.equal_so_far


@contextmanager
def comparing_within(seconds: float) -> Iterator[None]:
    """Bound the comparing of whatever runs inside, deadline or none: a server's requests, say.

    What is not compared by then is compared by what is known.
    """
    token = _LONGEST.set(seconds)
    try:
        yield
    finally:
        _LONGEST.reset(token)


def _heard(work: asyncio.Future[Any]) -> None:
    """Take note of how it ended: an error of work that was left matters to nobody."""
    if not work.cancelled():
        work.exception()
