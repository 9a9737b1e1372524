"""The recorder that keeps decisions in a database: SQLite in a file, or PostgreSQL.

It can keep keyed hashes in place of what people asked and what was answered. HMAC-SHA-256 under the
operator's key over a salt that belongs to the log. Equal questions keep equal hashes, so votes, repeats and
drift can still be counted; without the key nobody can try likely questions against them, and the hashes of
two logs cannot be compared. Texts of candidates are not kept at all. Features stay: numbers such as lengths,
and a few dimensions of n-grams, from which no text can be read but from which topics may be guessed. A hashed
log cannot be refitted on: features of another planner need the questions.

How long decisions are kept: by age, and by size. The oldest go first, a batch at a time.

A batch is small enough that writing waits for it only briefly; ``prune`` says whether there is more.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from planner.server.decisions.comparison import Comparison
from planner.server.decisions.database import file_of
from planner.server.decisions.recorder import Decision, DecisionQuery, Feedback, Record
from planner.server.decisions.store import Store
from planner.server.decisions.writer import Writer
from search.errors import DecisionLogError

__all__ = [
    "HASHED",
    "DecisionLog",
    "Hashing",
    "Retention",
    "prune",
    "removed_unused",
]

#: what a hash begins with, so that it is never taken for a text
HASHED = "hmac-sha256:"

_SHORTEST = 16


@dataclass(frozen=True, slots=True, repr=False)
class Hashing:
    """Hides the texts of decisions. ``key`` has at least 16 bytes; ``salt`` is the log's own."""

    key: bytes
    salt: bytes

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST:
            raise DecisionLogError(
                f"a key for hashing questions has at least {_SHORTEST} bytes, got {len(self.key)}"
            )

    def digest(self, text: str) -> str:
        """The hash of a text. A hash is returned as it is."""
        if text.startswith(HASHED):
            return text
        salted = self.salt + text.encode("utf-8", "surrogatepass")
        return HASHED + hmac.new(self.key, salted, hashlib.sha256).hexdigest()

    def hide(self, decision: Decision) -> Decision:
        """The decision with hashes of its question and answers and without texts of candidates."""
        return replace(
            decision,
            question=self.digest(decision.question),
            answer=self._answer(decision.answer),
            comparison=self._compared(decision.comparison),
            candidates=tuple(
                replace(candidate, text="", answer=self._answer(candidate.answer))
                for candidate in decision.candidates
            ),
        )

    def _compared(self, comparison: Comparison | None) -> Comparison | None:
        if comparison is None:
            return None
        return replace(comparison, plain_answer=self._answer(comparison.plain_answer))

    def _answer(self, answer: str | None) -> str | None:
        return None if answer is None else self.digest(answer)


_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Most days and most bytes (``Store.size``) that are kept; None keeps all."""

    days: float | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        if self.days is not None and not self.days > 0.0:
            raise DecisionLogError(f"decisions are kept for more than 0 days, got {self.days}")
        if self.bytes is not None and self.bytes < 1:
            raise DecisionLogError(f"decisions are kept in at least 1 byte, got {self.bytes}")


def prune(store: Store, retention: Retention, now: float, *, batch: int = 500) -> bool:
    """Delete at most ``batch`` decisions that are too old or too many. True if there may be more.

    ``now`` in seconds since the epoch. Feedback goes with its decision.
    """
    if retention.days is not None:
        old = store.oldest(batch, before=now - _DAY * retention.days)
        if old:
            store.delete([name for name, _ in old])
            return True
    if retention.bytes is not None:
        excess = store.size() - retention.bytes
        if excess > 0:
            gone = []
            for name, size in store.oldest(batch):
                if excess <= 0:
                    break
                gone.append(name)
                excess -= size
            store.delete(gone)
            return excess > 0
    return False


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


@contextmanager
def removed_unused(where: str | Path | None) -> Iterator[None]:
    """Where this ends in an error, a log that is a new file without decisions is removed."""
    place = None if where is None else file_of(where)
    is_new = place is not None and not place.exists()
    try:
        yield
    except Exception:
        if place is not None and is_new and place.exists() and not _holds_any(place):
            for end in ("", "-wal", "-shm"):
                place.with_name(place.name + end).unlink(missing_ok=True)
        raise


def _holds_any(place: Path) -> bool:
    try:
        store = Store.read(place)
    except DecisionLogError:  # nobody can tell, unless it was not even begun
        return place.stat().st_size > 0
    try:
        return bool(store.oldest(1))
    finally:
        store.close()


async def _read(look: Callable[[], _Read]) -> _Read:
    """What is found, beside the event loop. Raises DecisionLogError where the database cannot be read."""
    try:
        return await asyncio.to_thread(look)
    except sa.exc.DBAPIError as error:
        raise DecisionLogError(
            f"a decision log must be readable, got {type(error.orig).__name__} from it"
        ) from error
