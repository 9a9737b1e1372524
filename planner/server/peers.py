"""Peers: the processes of one server. Any of them can be asked something, and answers for all.

A server of one process has no peers: it answers for itself. ``planner.server.workers`` has those of several.

    >>> import asyncio
    >>> async def hear(given: object) -> object:
    ...     return {"seen": given}
    >>> peers = Peers()
    >>> peers.answer("figures", hear)
    >>> asyncio.run(peers.ask("figures", 600))
    {0: {'seen': 600}}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Answer", "Peers"]

#: answers a question, in JSON
Answer = Callable[[Any], Awaitable[Any]]


class Peers:
    """A process alone."""

    #: which of the processes this is, and how many there are
    number, count = 0, 1
    #: how often one of them was started again
    restarts = 0

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    def answer(self, what: str, how: Answer) -> None:
        """How a question is answered here."""
        self._answers[what] = how

    async def ask(self, what: str, given: Any = None, *, within: float | None = None) -> dict[int, Any]:
        """The answers of all processes by their numbers, this one's first.

        One that does not answer ``within`` so many seconds is left out; what this one's own answer raises is
        raised.
        """
        return {self.number: await self._answers[what](given)}

    def start(self) -> None:
        """Begin to listen, on the running loop."""

    def ready(self) -> None:
        """Requests are answered from now on."""

    async def close(self) -> None:
        """End."""
