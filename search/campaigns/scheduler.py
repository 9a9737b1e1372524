"""Units of work, one after another or many at a time.

A unit whose models promise equal bits runs alone, since what shares a batch with it would change them. Of the
others as many are in flight as keep the models busy: the next one starts when nothing waits at its gate, so
no model idles while a unit waits for its longest solution. Each unit is logged at once and whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from search.campaigns.unit import Unit

__all__ = ["Rules", "run_units"]


class Rules(Protocol):
    """What a scheduler asks about units."""

    def is_alone(self, unit: Unit) -> bool:
        """Whether nothing else may run beside it."""

    def needs(self, unit: Unit) -> str | None:
        """The name of the unit that must be logged before."""

    def has_room(self, unit: Unit) -> bool:
        """Whether its models could take more work now."""

    def may_start(self, unit: Unit, running: Sequence[Unit]) -> bool:
        """Whether what is spent still allows it."""


async def run_units(
    units: Sequence[Unit],
    work: Callable[[Unit], Awaitable[None]],
    rules: Rules,
    *,
    changed: asyncio.Event,
    stopped: asyncio.Event,
) -> bool:
    """Run all units; whether all were run.

    Parameters
    ----------
    units:
        In the order they are started, as far as they can be.
    work:
        Does a unit and logs it. When one fails the others are cancelled and awaited, and its error is raised.
    changed:
        Set when ``rules`` may answer otherwise than before.
    stopped:
        Set when everything is to be cancelled, which is no error.

    False where ``stopped`` was set or ``rules.may_start`` refused what was left.
    """
    waiting: dict[tuple[str, str], deque[Unit]] = {}
    for unit in units:
        waiting.setdefault((unit.policy, unit.prm), deque()).append(unit)
    unfinished = {unit.name for unit in units}
    running: dict[asyncio.Task[None], Unit] = {}
    try:
        while any(waiting.values()) or running:
            refused = _start_next(waiting, unfinished, running, work, rules)
            if refused and not running:
                return False
            await _next(set(running), changed, stopped)
            if stopped.is_set():
                return False
            for task in [task for task in running if task.done()]:
                unfinished.discard(running.pop(task).name)
                task.result()
        return True
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _start_next(
    waiting: Mapping[tuple[str, str], deque[Unit]],
    unfinished: set[str],
    running: dict[asyncio.Task[None], Unit],
    work: Callable[[Unit], Awaitable[None]],
    rules: Rules,
) -> bool:
    """Start a unit where one can be started now; whether what is spent forbids it.

    One at a time: its work enters the gates before the next one is looked at. The units of each policy and
    PRM keep their order; policies behind several servers advance side by side.
    """
    if any(map(rules.is_alone, running.values())):
        return False
    refused = False
    for queue in waiting.values():
        place = next((at for at, unit in enumerate(queue) if rules.needs(unit) not in unfinished), None)
        if place is None:
            continue
        unit = queue[place]
        if running and (rules.is_alone(unit) or not rules.has_room(unit)):
            continue
        if not rules.may_start(unit, list(running.values())):
            refused = True
            continue
        del queue[place]
        running[asyncio.ensure_future(_run(work, unit))] = unit
        return False
    return refused


async def _run(work: Callable[[Unit], Awaitable[None]], unit: Unit) -> None:
    await work(unit)


async def _next(running: set[asyncio.Task[None]], changed: asyncio.Event, stopped: asyncio.Event) -> None:
    """Until a unit ends, something changes or all is stopped."""
    changed.clear()
    signals = [asyncio.ensure_future(event.wait()) for event in (changed, stopped)]
    try:
        await asyncio.wait({*running, *signals}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for signal in signals:
            signal.cancel()
