"""Whether requests are traced: OpenTelemetry's standard environment variables say so.

>>> traces_are_wanted({}), traces_are_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
(False, True)
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.server.observing.trace import Tracing
from search.errors import MissingExtraError, ServeError

__all__ = ["traces_are_wanted", "tracing_of"]

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
