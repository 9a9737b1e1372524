"""The recorder that keeps decisions in a database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from planner.server.decisions.hashing import Hashing
from planner.server.decisions.recorder import Decision, DecisionQuery, Feedback, Record
from planner.server.decisions.retention import Retention, prune
from planner.server.decisions.store import Store
from planner.server.decisions.writer import Writer
from search.errors import DecisionLogError

__all__ = ["DecisionLog"]

#: seconds that a search waits for what is not durable yet
_CATCH_UP = 1.0

_Read = TypeVar("_Read")


class DecisionLog:
    """Keeps the ``Recorder`` protocol over a ``Store`` and a ``Writer``; ``open`` makes both.

    ``store`` is open for readers (``drift``, ``export``); its calls block.
    """

    def __init__(
        self,
        store: Store,
        *,
        hashing: Hashing | None = None,
        retention: Retention | None = None,
        patience: float = 5.0,
        clock: Callable[[], float] = time.time,
        **writing: Any,
    ) -> None:
        self.store = store
        self._hashing = hashing
        self._patience = patience
        kept = retention or Retention()
        tidy = None if kept == Retention() else lambda: prune(store, kept, clock())
        self._writer = Writer(store, tidy=tidy, **writing)
        self._closed = False
        #: has other processes write what waits, where several keep one log
        self.others: Callable[[], Awaitable[None]] | None = None

    @classmethod
    def open(
        cls,
        where: str | Path,
        *,
        hash_key: bytes | None = None,
        retention: Retention | None = None,
        patience: float = 5.0,
        **writing: Any,
    ) -> DecisionLog:
        """The log at a file or ``postgresql://`` address.

        Parameters
        ----------
        hash_key:
            Keeps keyed hashes in place of questions and answers; at least 16 bytes.
        retention:
            How long decisions are kept; None for ever.
        patience:
            Seconds after which feedback that cannot be written is refused to its sender.
        writing:
            As ``Writer`` takes it: interval, batch, bound, bound_bytes, tidy_every.

        Raises DecisionLogError where the log cannot be opened.
        """
        store = Store.open(where)
        try:
            hashing = None
            if hash_key is not None:
                salt = store.setting("hashing/salt", secrets.token_hex(32))
                hashing = Hashing(hash_key, bytes.fromhex(salt))
            return cls(store, hashing=hashing, retention=retention, patience=patience, **writing)
        except BaseException:
            store.close()
            raise

    def record(self, decision: Decision) -> None:
        """Keep a decision; at the writer's bound it is dropped and counted."""
        self._writer.put(decision if self._hashing is None else self._hashing.hide(decision))

    async def feedback(self, feedback: Feedback) -> bool:
        """Keep feedback; durable when this returns. False for a decision that is not known.

        Raises DecisionLogError where it is not durable within ``patience``; it may become so later.
        """
        waited = asyncio.wrap_future(self._writer.tell(feedback))
        done, _ = await asyncio.wait([waited], timeout=self._patience)
        if not done:
            raise DecisionLogError(
                f"feedback is written within {self._patience:g} s, got a log that cannot be written now"
            )
        return waited.result()

    async def find(self, decision_id: str) -> Record | None:
        """One decision, those not durable yet included."""
        waiting = self._writer.waiting(decision_id)
        if waiting is not None:
            return Record(waiting)
        found = await _read(lambda: self.store.find(decision_id))
        if found is None and self.others is not None:
            await self.others()
            found = await _read(lambda: self.store.find(decision_id))
        return found

    async def search(self, wanted: DecisionQuery) -> Sequence[Record]:
        """Decisions that match, newest first; what cannot be written within a second is not among them.

        Where questions are hashed, ``text`` finds decisions whose whole question or answer it is.
        """
        if self.others is not None:
            await self.others()
        if wanted.text is not None and self._hashing is not None:
            wanted = replace(wanted, text=self._hashing.digest(wanted.text))

        def look() -> list[Record]:
            self._writer.flush(_CATCH_UP)
            return self.store.search(wanted)

        return await _read(look)

    async def spent(self, since: float) -> Mapping[str, tuple[int, float]]:
        """Logical tokens and dollars by key, of decisions created since then (seconds since the epoch)."""

        def add_up() -> Mapping[str, tuple[int, float]]:
            self._writer.flush(_CATCH_UP)
            return self.store.spent(since)

        return await _read(add_up)

    async def flush(self, seconds: float) -> bool:
        """Write what waits; False where that takes longer."""
        return await asyncio.to_thread(self._writer.flush, seconds)

    async def compared(self, limit: int) -> Sequence[Record]:
        """The newest decisions with a comparison, newest first."""
        return await _read(lambda: self.store.newest_compared(limit))

    def state(self) -> Mapping[str, Any]:
        """As ``Writer.state`` has it, and where the log is kept."""
        return {"kept_in": self.store.engine.dialect.name, **self._writer.state()}

    async def close(self) -> None:
        """Write what waits, for at most ten seconds, then close the database."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._writer.close)
            self.store.close()


async def _read(look: Callable[[], _Read]) -> _Read:
    """What is found, beside the event loop. Raises DecisionLogError where the database cannot be read."""
    try:
        return await asyncio.to_thread(look)
    except sa.exc.DBAPIError as error:
        raise DecisionLogError(
            f"a decision log must be readable, got {type(error.orig).__name__} from it"
        ) from error
