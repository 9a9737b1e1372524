"""Traces: who hears what a request does, for OpenTelemetry. This file traces nothing.

``planner.server.observing.otel`` does, where the standard variables switch it on; nothing of it is imported
else. A trace that a client begins is passed on to the servers of the models in either case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import Scope

from planner.server.access.exchange import Exchange
from planner.server.decisions.recorder import Decision
from planner.server.request.shaping import SampleObserver
from planner.solving.events import Event
from search.remote.trace_headers import NO_TRACE, TRACE, trace_of
from search.rewards.protocol import Reward

if TYPE_CHECKING:
    from planner.server.request.request_context import RequestContext

__all__ = ["Tracing", "WorkTrace", "trace_headers"]


class WorkTrace:
    """Hears of one request's work, and of nothing more."""

    def hear(self, event: Event, place: int) -> None:
        """Something happened for an answer."""

    def samples(self, policy: str, place: int) -> tuple[SampleObserver, ...]:
        """Who hears of the samples of a policy."""
        return ()

    def rewards(self, rewards: Mapping[str, Reward], place: int) -> Mapping[str, Reward]:
        """The same PRMs, whose work is heard of."""
        return rewards

    def end(self, outcome: str, decision: Decision | None, tokens: tuple[int, int]) -> None:
        """The work has ended. ``decision``: what was written down, if anything; ``tokens``: of prompts, and
        generated."""


def trace_headers(scope: Scope) -> dict[str, str]:
    """The headers of a request that say its trace."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }


class Tracing:
    """Of one server. It begins and ends with each request, on the request's own task."""

    def begin(self, scope: Scope) -> None:
        """A request for an answer or a plan has come. Its trace, where it says one, is told to the servers
        that are asked for it."""
        TRACE.set(trace_of(trace_headers(scope)) or NO_TRACE)

    def end(self, exchange: Exchange) -> None:
        """It has ended."""

    def work(self, context: RequestContext) -> WorkTrace:
        """It is worked on."""
        return WorkTrace()

    def passed(self, decision: Decision, sent: float, tokens: tuple[int, int]) -> None:
        """It was passed on to the policy's own server, at ``sent`` seconds since the epoch, until now."""

    async def close(self) -> None:
        """Send what waits."""
