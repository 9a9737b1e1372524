"""Engines that hang after their first child until cancelled, or for ever, fail after it, or always fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from houses import writes

from search.engines.protocol import ChildFinished, Event, Request
from search.engines.scripted import ScriptedEngine
from search.errors import EngineError, RewardError
from search.rewards.protocol import Handle, Scored
from search.rewards.scripted import ScriptedReward


class Stuck(ScriptedEngine):
    """Requests of several children end only when they are cancelled."""

    def __init__(self, name: str, parameters: int) -> None:
        super().__init__(writes, name=name, parameters=parameters, context=4096)

    #: tokens of all children, cancelled ones included
    generated = 0

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        async for event in super().events(request, flight):
            if isinstance(event, ChildFinished):
                self.generated += len(event.token_ids)
            yield event
            while request.n > 1 and flight.active and not flight.cancelled:
                await asyncio.sleep(0.001)


class Mute(Stuck):
    """Writes nothing until it is cancelled."""

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        while flight.active and not flight.cancelled:
            await asyncio.sleep(0.001)
        async for event in super().events(request, flight):
            yield event


class Deaf(Stuck):
    """Hears no cancellation: its requests of several children never end."""

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        return None


class Fading(Stuck):
    """Fails for good after the first child of a request of several."""

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        async for event in super().events(request, flight):
            yield event
            if request.n > 1:
                raise EngineError("a policy must answer, got a dead one")


class Dead(ScriptedEngine):
    """A policy that does not answer."""

    def __init__(self, name: str, parameters: int) -> None:
        super().__init__(writes, name=name, parameters=parameters, context=4096)

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        raise EngineError("a server must be reached, got a refused connection")
        yield  # pragma: no cover


class Faulty(Stuck):
    """Has a fault of its own after the first child: it raises what no engine should."""

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        async for event in super().events(request, flight):
            yield event
            raise RuntimeError("a secret of the engine")


class Broken(ScriptedReward):
    """A PRM that does not answer until ``mended``."""

    def __init__(self, name: str, parameters: int) -> None:
        super().__init__(lambda question, steps: 0.5, name=name, parameters=parameters, context=4096)
        self.mended = False

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if not self.mended:
            raise RewardError("a PRM must answer, got a refused connection")
        return await super().extend(handle, steps)
