"""Buckets that all workers share: a piece of memory, and a lock that its owner's death frees.

Each bucket has 40 bytes: a digest of its name, its rate, what is left in it, and since when. Times are those
of the machine's monotonic clock, which is the same in all processes. Accounts of a day lie in places of the
same size: a digest, the day, what is spent, and what is held.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import DupFd
from typing import Any

from planner.server.access.limits import DayAccount, Level, OwnLevels

__all__ = ["Descriptor", "SharedLevels"]

_SLOT = struct.Struct("<16sddd")
_EMPTY = bytes(16)


class Descriptor:
    """The descriptor of an open file; a process that is being started gets its own copy of it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _copied, (DupFd(self.number),)


def _copied(given: Any) -> Descriptor:
    return Descriptor(given.detach())


class SharedLevels:
    """Buckets in a file that every process has mapped.

    Parameters
    ----------
    file:
        Descriptor of a file that ``size`` has made; each process has its own copy of the descriptor.
    most:
        Buckets and accounts: two accounts for each key that spends, and a bucket for each rate that it has.
        Beyond them a process counts by itself.
    """

    def __init__(self, file: int, most: int = 8192) -> None:
        self._file, self._most = file, most
        self._memory = mmap.mmap(file, most * _SLOT.size)
        self._beyond = OwnLevels()

    @staticmethod
    def make(file: int, most: int = 8192) -> None:
        """Give a new file its size."""
        os.ftruncate(file, most * _SLOT.size)

    def take(self, name: str, rate: float, now: float, *, need: float, amount: float) -> float:
        digest = _digest(name)
        with self._locked():
            place = self._find(digest)
            if place is None:
                return self._beyond.take(name, rate, now, need=need, amount=amount)
            known, old, left, at = _SLOT.unpack_from(self._memory, place)
            level = Level(rate, left, at) if known == digest and old == rate else Level.full(rate, now)
            wait = level.take(now, need, amount)
            _SLOT.pack_into(self._memory, place, digest, rate, level.left, level.at)
            return wait

    @contextmanager
    def account(self, name: str) -> Iterator[DayAccount]:
        digest = _digest(name)
        with self._locked():
            place = self._find(digest)
            if place is None:
                with self._beyond.account(name) as account:
                    yield account
                return
            known, day, spent, held = _SLOT.unpack_from(self._memory, place)
            account = DayAccount(int(day), spent, held) if known == digest else DayAccount()
            yield account
            _SLOT.pack_into(self._memory, place, digest, account.day, account.spent, account.held)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _find(self, digest: bytes) -> int | None:
        """Where a bucket is, or may be put; None where all places are taken."""
        first = int.from_bytes(digest[:8], "little") % self._most
        for step in range(self._most):
            place = (first + step) % self._most * _SLOT.size
            if self._memory[place : place + 16] in (digest, _EMPTY):
                return place
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
