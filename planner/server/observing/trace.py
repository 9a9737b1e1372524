"""Traces: who hears what a request does, for OpenTelemetry. This file traces nothing.

``planner.server.observing.otel`` does, where the standard variables switch it on; nothing of it is imported
else. A trace that a client begins is passed on to the servers of the models in either case.

OpenTelemetry's standard environment variables say whether requests are traced.

>>> traces_are_wanted({}), traces_are_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
(False, True)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import Scope

from planner.server.access.exchange import Exchange
from planner.server.decisions.recorder import Decision
from planner.server.request.shaping import SampleObserver
from planner.solving.events import Event
from search.errors import MissingExtraError, ServeError
from search.remote.trace_headers import NO_TRACE, TRACE, trace_of
from search.rewards.protocol import Reward

if TYPE_CHECKING:
    from planner.server.request.request_context import RequestContext

__all__ = [
    "Tracing",
    "WorkTrace",
    "trace_headers",
    "traces_are_wanted",
    "tracing_of",
]


class WorkTrace:
    """Hears of one request's work, and of nothing more."""

    def hear(self, event: Event, place: int) -> None:
        """Something happened for an answer."""

    def samples(self, place: int) -> tuple[SampleObserver, ...]:
        """Who hears of the samples of an answer."""
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


_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTER, _DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
_TEXT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def traces_are_wanted(environment: Mapping[str, str]) -> bool:
    """Whether a collector is named, or its exporter is, and tracing is not switched off.

    Raises ServeError for an exporter or a protocol that the server does not speak.
    """
    if _is_true(environment.get(_DISABLED)):
        return False
    exporter = environment.get(_EXPORTER, "").strip()
    if exporter == "none" or not (exporter or any(environment.get(name) for name in _ENDPOINTS)):
        return False
    if exporter not in ("", "otlp"):
        raise ServeError(f"{_EXPORTER} must be otlp or none, got {exporter[:80]!r}")
    for name in _PROTOCOLS:
        if environment.get(name, "http/protobuf") != "http/protobuf":
            raise ServeError(f"{name} must be http/protobuf, got {environment[name][:80]!r}")
    return True


def tracing_of(environment: Mapping[str, str]) -> Tracing:
    """What traces, or nothing. Raises ServeError, and MissingExtraError without the extra ``otel``."""
    if not traces_are_wanted(environment):
        return Tracing()
    try:
        from planner.server.observing.otel import OtelTracing
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"traces need {error.name}: pip install 'test-time-planner[otel]', or unset {_ENDPOINTS[1]}"
        ) from error
    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return OtelTracing(service=None if named else "planner", text=_is_true(environment.get(_TEXT)))


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("true", "1", "span_only", "span_and_event")
