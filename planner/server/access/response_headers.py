"""Headers of every response: its request's id, and what browsers must not do with it.

Errors have them too, and what the protocol's own parser refuses. A header that a route has set itself stays.
"""

from __future__ import annotations

import re
import secrets

__all__ = ["ALWAYS", "REQUEST_ID", "cross_origin", "preflight", "request_id", "with_defaults"]

_Headers = list[tuple[bytes, bytes]]

REQUEST_ID = b"x-request-id"

#: answers are not for caches, and are what their type says
ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))

#: what pages of other sites may read of an answer
_EXPOSED = b"x-request-id, request-id, x-planner-mode, retry-after, x-should-retry"

#: an id that a client gives: short, and safe in a log
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def request_id(given: bytes | None) -> bytes:
    """The id of a request: the client's own, where it is one, else a new one.

    >>> request_id(b"trace-7"), len(request_id(b"two words")), len(request_id(None))
    (b'trace-7', 36, 36)
    """
    if given is not None and _ID.fullmatch(given):
        return given
    return f"req_{secrets.token_hex(16)}".encode()


def with_defaults(headers: _Headers, own: _Headers) -> _Headers:
    """The headers of a response, with those of ``own`` and ``ALWAYS`` that it has not set.

    >>> with_defaults([(b"cache-control", b"no-cache")], [(b"x-request-id", b"1")])
    [(b'cache-control', b'no-cache'), (b'x-request-id', b'1'), (b'x-content-type-options', b'nosniff')]
    """
    known = {name for name, _ in headers}
    return [*headers, *(pair for pair in (*own, *ALWAYS) if pair[0] not in known)]


def cross_origin(origin: bytes) -> _Headers:
    """What lets an allowed page read the answer."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"origin"),
    ]


def preflight(wanted: bytes | None, *, private: bool) -> _Headers:
    """What an allowed page may send: answers a browser's question before its request.

    ``wanted``: the headers that the page wants to send. ``private``: whether the browser asks since the
    address is a private one.
    """
    headers = [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", wanted or b"authorization, content-type"),
        (b"access-control-max-age", b"600"),
    ]
    return [*headers, (b"access-control-allow-private-network", b"true")] if private else headers
