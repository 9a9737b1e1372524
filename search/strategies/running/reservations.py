"""Reservations of one run in its ledger, for work under way; what is left at the end is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from search.budget import Ledger, Reservation

__all__ = ["Reservations"]


class Reservations:
    """Reservations of one run, each closed once: settled, forfeited or given back."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._held: set[Reservation] = set()
        self._changed = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._held

    def hold(self, **need: Any) -> Reservation:
        """Reserve, as ``Ledger.reserve`` does."""
        held = self.ledger.reserve(**need)
        self._held.add(held)
        return held

    def settle(self, held: Reservation, **spent: int) -> None:
        """The work took this much, as ``Reservation.settle`` takes it."""
        self._close(held, lambda: held.settle(**spent))

    def forfeit(self, held: Reservation) -> None:
        """Nobody knows what the work took: all of it is charged."""
        self._close(held, held.forfeit)

    def give_back(self, held: Reservation) -> None:
        """The work is not needed."""
        self._close(held, held.release)

    def give_all_back(self) -> None:
        """Whatever is still held was never sent."""
        for held in list(self._held):
            self.give_back(held)

    async def change(self) -> None:
        """Wait until something is closed, or ``wake``."""
        self._changed.clear()
        await self._changed.wait()

    def wake(self) -> None:
        """End the waiting."""
        self._changed.set()

    def _close(self, held: Reservation, how: Callable[[], None]) -> None:
        self._held.discard(held)
        self._changed.set()
        how()
