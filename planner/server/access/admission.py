"""Admission: how many requests are worked on, how many wait, and when one is refused.

A request is let in while fewer than ``running`` are worked on and its policy has room for more samples
(``planner.server.access.in_flight``); else it waits, and ``waiting`` may do so. Beyond that a request is
refused with the seconds after which a place is likely. Waiting requests take turns by key, so that one busy
key does not hold up the others. One whose policy has room does not wait for those whose policy has none.

Requests with a deadline go first, the soonest of a key before its others. A request without one is treated as
if it had one once it has waited ``ageing`` seconds, so that none starves; within a key they keep their order.

Before anything is refused budgets can shrink: a request admitted while the queue is partly filled gets
the share ``Place.share`` of its budget, which falls from 1 with an empty queue to ``floor`` with a full one.
Work then ends sooner and the queue drains. ``floor=1.0`` switches that off.

    >>> import asyncio
    >>> async def one() -> float:
    ...     async with Admission(running=1, waiting=1).enter("alice") as place:
    ...         return place.share
    >>> asyncio.run(one())
    1.0
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass

from planner.server.access.in_flight import InFlight, Place
from planner.server.refusal import Refusal, busy
from search.errors import PlannerError, ServeError

__all__ = [
    "Admission",
    "Background",
]

#: weight of the newest request in the mean duration
_NEWEST = 0.1


@dataclass(slots=True, eq=False)
class _Turn:
    """A request that waits. ``due``: when its deadline is, or when it counts as having one."""

    come: asyncio.Future[Place]
    due: float
    is_timed: bool
    policy: str | None


class Admission:
    """The door. Used on one event loop.

    Parameters
    ----------
    running, waiting:
        Most requests worked on, and most that wait.
    floor:
        Smallest share of a budget under load, in (0, 1].
    ageing:
        Seconds after which a request without a deadline waits no longer behind those that have one.
    flights:
        What is in flight, with the limits of each policy; without any by default.
    clock:
        Seconds, monotonic.
    """

    def __init__(
        self,
        running: int = 32,
        waiting: int = 128,
        floor: float = 1.0,
        ageing: float = 5.0,
        flights: InFlight | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if running < 1:
            raise ServeError(f"at least 1 request must be worked on at a time, got {running}")
        if waiting < 0:
            raise ServeError(f"a queue cannot be shorter than 0, got {waiting}")
        if not 0.0 < floor <= 1.0:
            raise ServeError(f"the smallest share of a budget must be in (0, 1], got {floor}")
        if not ageing >= 0.0:
            raise ServeError(f"seconds of ageing cannot be negative, got {ageing}")
        self._most, self._room, self._floor, self._clock = running, waiting, floor, clock
        self._ageing = ageing
        self._running = 0
        self._queues: OrderedDict[str, list[_Turn]] = OrderedDict()  # by key, in the order of arrival
        self._seconds = 1.0  # mean duration of a request
        self.flights = flights or InFlight()
        self.flights.then(self._admit)

    @property
    def turns(self) -> int:
        """How many questions of one call may ask for a place at a time: so they do not fill the queue."""
        limits = [limit for _, _, limit in self.flights.limits()]
        return max(1, min(min((self._most, *limits)) // 4, self._room // 2))

    @property
    def running(self) -> int:
        """Requests being worked on."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(len(queue) for queue in self._queues.values())

    def must_wait(self, policy: str | None = None) -> bool:
        """Whether a request that came now, and begins with this policy, would have to wait."""
        return self._running >= self._most or not self.flights.has_room(policy)

    @property
    def share(self) -> float:
        """What a request that came now would get of its budget."""
        if self._room == 0:
            return 1.0
        return 1.0 - (1.0 - self._floor) * min(1.0, self.waiting / self._room)

    @property
    def retry_after(self) -> float:
        """Seconds until a place is likely."""
        return max(1.0, self._seconds * (self.waiting + 1) / max(1, self._running))

    @asynccontextmanager
    async def enter(
        self, key: str, within: float | None = None, policy: str | None = None
    ) -> AsyncIterator[Place]:
        """Wait for a place and hold it. ``policy``: the one that the request begins with.

        Raises Refusal: 429 when the queue is full, 504 when no place is free ``within`` so many seconds.
        """
        arrived = began = self._clock()
        if within is not None and within <= 0.0:
            raise _late(within)
        if not self.must_wait(policy):  # then nobody waits who could be let in
            place = self._let_in(policy)
        else:
            try:
                async with asyncio.timeout(within):
                    place = await self._wait(key, within, policy)
            except TimeoutError as error:
                assert within is not None
                raise _late(within) from error
            began = self._clock()
        try:
            place.share, place.waited = self.share, began - arrived
            yield place
        finally:
            self._seconds += _NEWEST * (self._clock() - began - self._seconds)
            self._leave(place)

    async def _wait(self, key: str, within: float | None, policy: str | None) -> Place:
        if self.waiting >= self._room:
            raise busy(
                f"{self._running} requests run and at most {self._room} wait, got one more",
                self.retry_after,
                "overloaded",
            )
        come: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        due = self._clock() + (self._ageing if within is None else within)
        turn = _Turn(come, due, within is not None, policy)
        self._queues.setdefault(key, []).append(turn)
        try:
            return await come
        except asyncio.CancelledError:
            if come.done() and not come.cancelled():
                self._leave(come.result())  # the place came as the client went
            else:
                self._forget(key, turn)
            raise

    def _let_in(self, policy: str | None) -> Place:
        self._running += 1
        return self.flights.place(policy)

    def _leave(self, place: Place) -> None:
        """A place is free."""
        self._running -= 1
        place.leave()
        self._admit()

    def _admit(self) -> None:
        """Let in whoever waits and has room."""
        while self._queues and self._running < self._most:
            found = self._next()
            if found is None:
                return
            key, turn = found
            self._forget(key, turn)
            if key in self._queues:
                self._queues.move_to_end(key)  # the other keys come first
            if not turn.come.done():
                turn.come.set_result(self._let_in(turn.policy))

    def _next(self) -> tuple[str, _Turn] | None:
        """Whose turn it is, of those whose policy has room: of the first key that has an urgent request, else
        of the first key. None where nobody has room."""
        now, first = self._clock(), None
        rooms: dict[str | None, bool] = {}
        for key, queue in self._queues.items():
            for turn in queue:
                if turn.policy not in rooms:
                    rooms[turn.policy] = self.flights.has_room(turn.policy)
            able = [turn for turn in queue if rooms[turn.policy]]
            urgent = [turn for turn in able if turn.is_timed or turn.due <= now]
            if urgent:
                return key, min(urgent, key=lambda turn: turn.due)
            if first is None and able:
                first = key, able[0]
        return first

    def _forget(self, key: str, turn: _Turn) -> None:
        queue = self._queues.get(key)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[key]


def _late(within: float) -> Refusal:
    """No place was free in time."""
    return Refusal(f"a place must be free within {within:g} s, got none", 504, code="deadline")


_LOGGER = logging.getLogger("planner.server")


class Background:
    """Runs what it is given after the request that gave it. Used on one event loop.

    Parameters
    ----------
    running, waiting:
        Most that run at a time, and most that wait; beyond that, work is dropped and counted.

    ``admission`` is the door of this work: it takes no place of a request.
    """

    def __init__(self, running: int = 2, waiting: int = 64) -> None:
        self.admission = Admission(running=running, waiting=waiting)
        self.begun = 0
        self.dropped = 0
        self.failed = 0
        self._most = running + waiting
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Begin work soon, with a clock of its own; False where too much waits."""
        if len(self._tasks) >= self._most:
            self.dropped += 1
            return False
        self.begun += 1
        # an empty context: nothing of this work belongs to the request that it comes from
        task = asyncio.get_running_loop().create_task(self._run(work), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def drained(self) -> None:
        """Wait until nothing is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel what runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (PlannerError, TimeoutError) as error:
            self.failed += 1
            _LOGGER.warning("work beside requests failed: %s", type(error).__name__)
