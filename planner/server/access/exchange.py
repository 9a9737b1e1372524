"""One request over HTTP and its response, as headers, figures and the access log see them. No text of either.

The access log has a JSON object a line for each request, without its text, its query or its key. It goes
where the other lines of the server go, warnings among them:

    {"at": "2026-11-30T12:00:00.000Z", "level": "info", "what": "POST /v1/plan 200", "seconds": ...}

Every response has its request's id, and says what browsers must not do with it. Errors have these headers
too, and what the protocol's own parser refuses. A header that a route has set itself stays.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "ALWAYS",
    "REQUEST_ID",
    "Exchange",
    "JsonLines",
    "Notes",
    "cross_origin",
    "log_access",
    "log_to_stderr",
    "preflight",
    "request_id",
    "with_defaults",
]

#: where the scope of a request holds its notes
_PLACE = "planner.notes"


@dataclass(slots=True)
class Notes:
    """What is learned of a request on its way: its id, the code of its error, the name of its key."""

    request_id: str | None = None
    code: str | None = None
    key: str | None = None

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> Notes:
        """Those of a request, begun where it has none. A copy of the scope shares them."""
        found: Notes = scope.setdefault(_PLACE, cls())
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request that has ended.

    Parameters
    ----------
    at:
        When it ended, in seconds since the epoch.
    seconds:
        From its arrival to the last byte of its response.
    method, path, route:
        As asked, without the query; ``route`` is the path's name (``planner.server.access.middleware``).
    status:
        Of the response; 499 where the client left before there was one.
    code:
        Of the error; None without one. Errors in the middle of a stream have none.
    is_asking:
        Whether it asked for an answer or a plan.
    request_id, key, client:
        The header ``x-request-id``, the name of its key, the address that it came from. None where there is
        none.
    """

    at: float
    seconds: float
    method: str
    path: str
    route: str
    status: int
    code: str | None
    is_asking: bool
    request_id: str
    key: str | None = None
    client: str | None = None

    @property
    def cause(self) -> str | None:
        """Why it was refused or failed, in a word; None where it was not, or its client left."""
        if self.status < 400 or self.status == 499:
            return None
        return self.code or str(self.status)


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


_LOGGER = logging.getLogger("planner.access")

#: where a record holds what its line says beside its words
_FIELDS = "planner_fields"


class JsonLines(logging.Formatter):
    """A JSON object a line; never a traceback's values, never a question. ``worker``: whose they are."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._own = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps(
            {
                "at": at.replace("+00:00", "Z"),
                **self._own,
                "level": record.levelname.lower(),
                "what": " ".join(record.getMessage().split()),
                **getattr(record, _FIELDS, {}),
            }
        )


def log_access(exchange: Exchange) -> None:
    """Write down a request that has ended."""
    fields = {
        "request_id": exchange.request_id,
        "method": exchange.method,
        "path": exchange.path,
        "route": exchange.route,
        "status": exchange.status,
        "seconds": round(exchange.seconds, 6),
        "code": exchange.code,
        "key": exchange.key,
        "client": exchange.client,
    }
    _LOGGER.info("%s %s %d", exchange.method, exchange.path, exchange.status, extra={_FIELDS: fields})


def log_to_stderr(worker: int | None = None) -> None:
    """What the server says, and what Python warns of, as JSON lines on standard error.

    ``worker``: the process, where there are several.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("planner").setLevel(logging.INFO)
    logging.captureWarnings(True)
