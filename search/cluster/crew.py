"""The actors of a campaign: started, given units, and replaced by Ray where they die.

Each policy has its replicas, and so has each PRM that is placed apart. A unit goes to the replica with the
least to do; of an engine that promises equal bits each holds two units, one at work and one waiting, of
others as many as keep it busy: nothing piles up anywhere. Ray restarts an actor that died, on another node
where its own is gone; until it answers again it is given nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from search.campaigns.unit import Unit
from search.cluster.elsewhere import RewardElsewhere, SharedLoader
from search.cluster.messages import Assignment, Job, Reply, Told
from search.cluster.placement import Placement
from search.cluster.worker import Worker
from search.errors import ClusterError, RewardError
from search.loader import Loader

__all__ = ["Crew", "DiedError", "Seat"]

#: units that one actor works on at a time, at most
_MOST = 64
#: seconds between two looks at an actor that died
_PAUSE = 0.5
#: seconds after which nobody waits for a model to be closed
_CLOSING = 10.0
#: bytes of a campaign above which it is put into Ray's store, and not into the head's description of an actor
_LARGE = 65_536
#: how often a policy's actor asks for rewards before it gives up, and the first pause in seconds
_ASKED = 8
_FIRST_PAUSE = 0.25


class DiedError(Exception):
    """An actor, or its node, died while it did a unit."""


@dataclass(slots=True)
class Seat:
    """One actor: what it said of itself (None: it does not answer now) and how much it has to do.

    ``is_kept``: for a unit at which an actor died, which is tried with nothing beside it.
    """

    actor: Any
    model: str
    told: Told | None = None
    units: int = 0
    weight: int = 0
    fault: str = ""
    is_kept: bool = False
    waking: asyncio.Task[None] | None = field(default=None, repr=False)

    def has_room(self, most: int | None, block: int) -> bool:
        """Whether it could take another unit."""
        if self.told is None or self.is_kept:
            return False
        if self.told.equal_bits:
            return self.units < 2
        wanted = self.told.concurrency
        limit = most if most is not None else wanted + max(wanted // 4, block)
        return self.units < _MOST and (self.units == 0 or self.weight < limit)


class Crew:
    """The actors of one campaign.

    Parameters
    ----------
    ray:
        The package, connected (``search.cluster.ray_session``).
    job:
        The campaign.
    policies, prms:
        Their names.
    placements:
        Name -> placement; what is left out has the default one.
    changed:
        Called when there may be room again.
    """

    def __init__(
        self,
        ray: Any,
        job: Job,
        policies: Mapping[str, Placement],
        prms: Mapping[str, Placement],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._ray = ray
        self._job = job
        self._changed = changed
        self._apart = {name: placement for name, placement in prms.items() if placement.is_apart}
        self._policies = dict(policies)
        self._seats: dict[tuple[str, str], list[Seat]] = {}
        self._shared: list[Any] = []
        self._freed: asyncio.Event | None = None
        self.deaths = 0

    async def start(self) -> None:
        """Start all actors, and wait until one of each model answers.

        Raises ClusterError with what keeps a model from loading.
        """
        self._freed = asyncio.Event()
        asks: dict[str, _Ask] = {}
        for name, placement in self._apart.items():
            seats = [Seat(self._actor(placement, "", name, None), name) for _ in range(placement.replicas)]
            self._seats["prm", name] = seats
            asks[name] = _Ask([seat.actor for seat in seats])
        around = _Around(asks) if asks else None
        for name, placement in self._policies.items():
            seats = [Seat(self._actor(placement, name, "", around), name) for _ in range(placement.replicas)]
            self._seats["policy", name] = seats
        for seat in self.seats:
            seat.waking = asyncio.ensure_future(self._wake(seat))
        try:
            for (_, name), seats in self._seats.items():
                await self._until(partial(_is_settled, seats))
                if not any(seat.told for seat in seats):
                    raise ClusterError(f"actors of {name!r} must start, got {seats[0].fault}")
        except BaseException:
            await self.close()
            raise

    @property
    def seats(self) -> list[Seat]:
        """Every actor."""
        return [seat for seats in self._seats.values() for seat in seats]

    def told(self, unit: Unit) -> Told | None:
        """What an actor that may do a unit said of itself."""
        return next((seat.told for seat in self._home(unit) if seat.told is not None), None)

    def has_room(self, unit: Unit) -> bool:
        """Whether one of the actors that may do a unit could take it now."""
        return any(self._takes(seat) for seat in self._home(unit))

    async def do(self, asked: Assignment, *, aside: bool = False) -> Reply:
        """Have a unit done; waits for room. ``aside``: by an actor that does nothing else meanwhile.

        Raises DiedError, ClusterError where no actor comes back.
        """
        if not aside:
            return await self._do(await self._take(asked.unit), asked)
        seat = await self._keep(asked.unit)
        try:
            return await self._do(seat, asked)
        finally:
            seat.is_kept = False
            self._tell()

    async def _do(self, seat: Seat, asked: Assignment) -> Reply:
        weight = len(asked.unit.problems) * asked.unit.plan.n
        seat.units, seat.weight = seat.units + 1, seat.weight + weight
        self._changed()
        try:
            reply: Reply = await seat.actor.do.remote(asked)
            return reply
        except self._ray.exceptions.RayError as error:
            if isinstance(error, self._ray.exceptions.RayTaskError):
                raise ClusterError(f"an actor must answer, got {_line(error)}") from error
            self.deaths += 1
            if seat.told is not None:
                seat.told = None
                seat.waking = asyncio.ensure_future(self._wake(seat))
            raise DiedError(_line(error)) from error
        finally:
            seat.units, seat.weight = seat.units - 1, seat.weight - weight
            self._tell()

    async def ask(self, unit: Unit, method: str, *values: Any) -> Any:
        """Call a method of an actor that may do a unit."""
        seat = await self._take(unit)
        try:
            return await getattr(seat.actor, method).remote(*values)
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"an actor must answer, got {_line(error)}") from error

    async def close(self) -> None:
        """End all actors. Safe to call twice."""
        seats = self.seats
        self._seats.clear()
        for seat in seats:
            if seat.waking is not None:
                seat.waking.cancel()
        closing = [asyncio.ensure_future(_over(seat.actor.close.remote())) for seat in seats if seat.told]
        if closing:
            await asyncio.wait(closing, timeout=_CLOSING)
        for one in closing:
            one.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        for seat in seats:
            self._ray.kill(seat.actor)

    # -- inside

    def _actor(self, placement: Placement, policy: str, prm: str, around: _Around | None) -> Any:
        made = self._ray.remote(Worker).options(
            num_cpus=placement.cpus,
            num_gpus=placement.gpus,
            resources=dict(placement.resources),
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=_MOST + 8,
            scheduling_strategy="SPREAD",
        )
        shared: Any = (self._job, around)
        if len(self._ray.cloudpickle.dumps(shared)) > _LARGE:
            # kept in the store as long as the crew lives: an actor that is restarted is made of it again
            shared = self._ray.put(shared)
            self._shared.append(shared)
        return made.remote(shared, policy, prm)

    def _home(self, unit: Unit) -> list[Seat]:
        if unit.table == "scores" and unit.prm in self._apart:
            return self._seats.get(("prm", unit.prm), [])
        return self._seats.get(("policy", unit.policy), [])

    def _takes(self, seat: Seat) -> bool:
        return seat.has_room(self._job.in_flight, self._job.grid.block)

    async def _take(self, unit: Unit) -> Seat:
        await self._until(lambda: self.has_room(unit) or self._is_hopeless(unit))
        free = [seat for seat in self._home(unit) if self._takes(seat)]
        if not free:
            faults = [seat.fault for seat in self._home(unit)]
            raise ClusterError(f"an actor must come back, got {faults[0] if faults else 'none'}")
        return min(free, key=lambda seat: (seat.units, seat.weight))

    async def _keep(self, unit: Unit) -> Seat:
        """An actor that has nothing to do, and is given nothing."""
        while True:
            await self._until(lambda: self._idlest(unit) is not None or self._is_hopeless(unit))
            seat = self._idlest(unit)
            if seat is None:
                return await self._take(unit)  # says why there is none
            seat.is_kept = True
            try:
                await self._until(partial(_is_free, seat))
            except BaseException:
                seat.is_kept = False
                raise
            if seat.told is not None:
                return seat
            seat.is_kept = False

    def _idlest(self, unit: Unit) -> Seat | None:
        there = [seat for seat in self._home(unit) if seat.told is not None and not seat.is_kept]
        return min(there, key=lambda seat: seat.units, default=None)

    def _is_hopeless(self, unit: Unit) -> bool:
        """Whether all of the actors that could do it say that they cannot work."""
        return all(seat.fault for seat in self._home(unit))

    async def _wake(self, seat: Seat) -> None:
        """Wait until an actor answers; Ray restarts it meanwhile. ``fault``: it never will."""
        known = self._ray.exceptions
        while True:
            try:
                seat.told = await seat.actor.tell.remote()
                break
            except known.RayTaskError as error:  # its model cannot be loaded
                seat.fault = _line(error.cause)
                break
            except known.ActorDiedError as error:
                if "creation task" in str(error):  # its constructor raised: Ray does not try again
                    seat.fault = _line(error)
                    break
                await asyncio.sleep(_PAUSE)
            except known.RayError:
                await asyncio.sleep(_PAUSE)
        self._tell()

    async def _until(self, holds: Callable[[], bool]) -> None:
        assert self._freed is not None
        while not holds():
            self._freed.clear()
            await self._freed.wait()

    def _tell(self) -> None:
        if self._freed is not None:
            self._freed.set()
        self._changed()


class _Ask:
    """Asks a PRM's actors in turn (``search.cluster.elsewhere.Ask``); used inside policies' actors."""

    def __init__(self, actors: list[Any]) -> None:
        self._actors = actors

    def now(self, turn: int, method: str, *values: Any) -> Any:
        import ray

        for tried in range(_ASKED):
            try:
                return ray.get(self._call(turn + tried, method, values))
            except ray.exceptions.RayTaskError as error:
                raise RewardError(_line(error.cause)) from error
            except ray.exceptions.RayError as error:
                self._last(tried, error)
                time.sleep(_FIRST_PAUSE * 2**tried)
        raise AssertionError("the last try returns or raises")

    async def soon(self, turn: int, method: str, *values: Any) -> Any:
        import ray

        for tried in range(_ASKED):
            try:
                return await self._call(turn + tried, method, values)
            except ray.exceptions.RayTaskError as error:
                raise RewardError(_line(error.cause)) from error
            except ray.exceptions.RayError as error:
                self._last(tried, error)
                await asyncio.sleep(_FIRST_PAUSE * 2**tried)
        raise AssertionError("the last try returns or raises")

    def _call(self, turn: int, method: str, values: tuple[Any, ...]) -> Any:
        return getattr(self._actors[turn % len(self._actors)], method).remote(*values)

    def _last(self, tried: int, error: Exception) -> None:
        if tried == _ASKED - 1:
            raise RewardError(f"a PRM's actor must answer, got {_line(error)}") from error


class _Around:
    """Puts PRMs that have actors of their own in place of loaded ones."""

    def __init__(self, asks: Mapping[str, _Ask]) -> None:
        self._asks = dict(asks)

    def __call__(self, loader: Loader) -> Loader:
        return SharedLoader(
            loader,
            {name: partial(RewardElsewhere, ask=ask) for name, ask in self._asks.items()},
        )


def _is_settled(seats: Sequence[Seat]) -> bool:
    """Whether one can work, or none ever will."""
    return any(seat.told for seat in seats) or all(seat.fault for seat in seats)


def _is_free(seat: Seat) -> bool:
    """Whether it has nothing to do, or died."""
    return seat.units == 0 or seat.told is None


async def _over(reference: Any) -> None:
    await reference


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]
