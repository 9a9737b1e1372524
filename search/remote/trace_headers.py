"""Which trace the work at hand belongs to: W3C's headers, sent along with every request to another server.

Whoever takes a request in sets ``TRACE`` for its task, and so for all tasks that this begins; connections
read it. What is not a trace context is not passed on (https://www.w3.org/TR/trace-context/).

    >>> given = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "cookie": "x"}
    >>> trace_of(given)
    {'traceparent': '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'}
    >>> trace_of({"traceparent": "mine", "tracestate": "a=b"})
    {}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

__all__ = ["NO_TRACE", "TRACE", "trace_of"]

NO_TRACE: Mapping[str, str] = MappingProxyType({})

#: the headers of what is sent in this context
TRACE: ContextVar[Mapping[str, str]] = ContextVar("trace", default=NO_TRACE)

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
#: visible characters of a list that vendors keep
_STATE = re.compile(r"[\x20-\x7e]{1,512}")


def trace_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The trace context in headers (lower case); {} where there is none, or one that is none."""
    parent, state = headers.get("traceparent", ""), headers.get("tracestate", "")
    if not _PARENT.fullmatch(parent):
        return {}
    return {"traceparent": parent, **({"tracestate": state} if _STATE.fullmatch(state) else {})}
