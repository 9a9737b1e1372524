"""How long decisions are kept: by age, and by size. The oldest go first, a batch at a time.

A batch is small enough that writing waits for it only briefly; ``prune`` says whether there is more.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.server.decisions.store import Store
from search.errors import DecisionLogError

__all__ = ["Retention", "prune"]

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
