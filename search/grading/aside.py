"""Work with answers that may wait for other processes, done aside: never on an event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from search.grading.protocol import Domain

__all__ = ["aside"]

P = ParamSpec("P")
T = TypeVar("T")


async def aside(domain: Domain, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``work`` returns, called here at once, or on a thread where the domain waits for processes.

    ``work`` changes nothing that others see: who is cancelled while it runs leaves it to its end.
    """
    if not domain.waits:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
