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
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = [
    "ALWAYS",
    "REQUEST_ID",
    "Exchange",
    "JsonLines",
    "log_access",
    "log_to_stderr",
    "request_id",
    "with_defaults",
]


class Exchange:
    """A request, from its arrival until its response has left, and what is learned of it on the way.

    A client's deadline counts from when it asked to when it has the answer, so the time before any work
    (reading, checking) and after it (writing the answer) belongs to it as well. The middleware, through which
    every request comes, begins an exchange and ends it; whoever works on the request finds it by
    ``Exchange.now``.

        >>> exchange = Exchange(clock=iter([1.0, 1.2, 1.5]).__next__)
        >>> told: list[float] = []
        >>> exchange.then(lambda seconds: told.append(round(seconds, 1)))
        >>> round(exchange.seconds, 1), exchange.end(), told
        (0.2, None, [0.5])

    Parameters
    ----------
    method, path:
        As asked, without the query.
    is_asking:
        Whether it asks for an answer or a plan.
    client:
        The address that it came from.
    clock:
        Seconds, monotonic.

    Attributes
    ----------
    request_id, key:
        The header ``x-request-id``, the name of its key. None where there is none.
    route:
        The path's name (``planner.server.access.middleware``).
    status:
        Of the response; 0 before there is one, 499 where the client left before there was one.
    code:
        Of the error; None without one. Errors in the middle of a stream have none.
    at:
        When it ended, in seconds since the epoch.
    is_worked_on:
        Whether work for it was begun, which counts itself.
    """

    __slots__ = (
        *("at", "client", "code", "is_asking", "is_worked_on", "key", "method", "path"),
        *("request_id", "route", "status", "_began", "_clock", "_hearers", "_took"),
    )

    def __init__(
        self,
        method: str = "",
        path: str = "",
        *,
        is_asking: bool = False,
        client: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.method, self.path, self.is_asking, self.client = method, path, is_asking, client
        self.request_id: str | None = None
        self.key: str | None = None
        self.code: str | None = None
        self.route, self.status, self.at = "other", 0, 0.0
        self.is_worked_on = False
        self._clock, self._began = clock, clock()
        self._took: float | None = None
        self._hearers: list[Callable[[float], None]] = []

    @classmethod
    def begin(
        cls, method: str = "", path: str = "", *, is_asking: bool = False, client: str | None = None
    ) -> Exchange:
        """A request arrives; what its task does from now on finds it."""
        exchange = cls(method, path, is_asking=is_asking, client=client)
        _PRESENT.set(exchange)
        return exchange

    @classmethod
    def now(cls) -> Exchange:
        """That of the present request; one that arrives now where none was begun."""
        return _PRESENT.get() or cls()

    @classmethod
    def after(cls, do: Callable[[], None]) -> None:
        """Do something once the present answer has left; at once where no request was begun."""
        present = _PRESENT.get()
        if present is None:
            do()
        else:
            present.then(lambda _: do())

    @property
    def seconds(self) -> float:
        """Since it arrived; once it has ended, from its arrival to the last byte of its response."""
        return self._clock() - self._began if self._took is None else self._took

    @property
    def cause(self) -> str | None:
        """Why it was refused or failed, in a word; None where it was not, or its client left."""
        if self.status < 400 or self.status == 499:
            return None
        return self.code or str(self.status)

    def then(self, hear: Callable[[float], None]) -> None:
        """Have somebody told, once the answer has left, how many seconds that took from the arrival."""
        self._hearers.append(hear)

    def end(self, status: int = 0, route: str = "other") -> None:
        """The answer has left, or nobody waits for it any more."""
        self._took = seconds = self.seconds
        self.at, self.status, self.route = time.time(), status or 499, route
        hearers, self._hearers = self._hearers, []
        for hear in hearers:
            hear(seconds)


_PRESENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)

_Headers = list[tuple[bytes, bytes]]

REQUEST_ID = b"x-request-id"

#: answers are not for caches, and are what their type says
ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))

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
