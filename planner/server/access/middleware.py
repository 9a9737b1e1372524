"""Middleware before all routes: names, origins, sizes, time and sanity of a request, as plain ASGI.

Who calls the server by a foreign name, or from a foreign page, is turned away before anything is read. A body
is read whole here, within its limits of bytes and seconds, and must be JSON that any JSON reader takes: valid
UTF-8, no NaN, not too deep. Behind it nothing about reading can fail. Routes that know how to read for
themselves (``planner.server.routes.routing``) are asked from here, past the layers of a framework.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planner.server.access.exchange import (
    REQUEST_ID,
    Exchange,
    request_id,
    with_defaults,
)
from planner.server.access.origins import Origins, cross_origin, preflight
from planner.server.refusal import Refusal, error_body, is_messages, refusal_of
from planner.server.rules import Sizes
from search.errors import PlannerError

__all__ = [
    "ASKING",
    "JSON",
    "Handler",
    "Middleware",
    "RouteNames",
]

#: paths that are named by their beginning alone: the console's files
_FOLDERS = ("/console/",)


class RouteNames:
    """The names of an application's routes."""

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        self._fixed: set[str] = set()
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for route in routes:
            path, pattern = getattr(route, "path_format", None), getattr(route, "path_regex", None)
            if path is None or pattern is None:
                continue
            if "{" in path:
                self._patterns.append((pattern, path))
            elif not path.startswith(_FOLDERS):
                self._fixed.add(path)

    def of(self, path: str) -> str:
        """The name of the route that a path leads to; ``other`` where it leads to none."""
        if path in self._fixed:
            return path
        for folder in _FOLDERS:
            if path.startswith(folder):
                return folder.rstrip("/")
        return next((name for pattern, name in self._patterns if pattern.match(path)), "other")


#: paths of requests that are counted where they are turned away
ASKING = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/plan"})
#: where the scope of a request holds what its body says
JSON = "planner.json"

_LOGGER = logging.getLogger("planner.server")
#: characters of a path that are told
_LONGEST_PATH = 200


#: answers a request; raises errors of ours, which become the answer
Handler = Callable[[Request], Awaitable[Response]]


class Middleware:
    """Wraps an application.

    ``straight``: who answers a method and a path, instead of the application. ``names``: of its routes.
    ``headers``: of every response.
    ``on_begin`` hears of each request for an answer or a plan, ``on_end`` of every request that has ended.
    """

    def __init__(
        self,
        app: ASGIApp,
        sizes: Sizes,
        straight: Mapping[tuple[str, str], Handler] = MappingProxyType({}),
        origins: Origins | None = None,
        names: RouteNames | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        on_begin: Callable[[Scope], None] = lambda _: None,
        on_end: Callable[[Exchange], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._sizes = sizes
        self._straight = straight
        self._origins = origins or Origins()
        self._names = names or RouteNames()
        self._headers = tuple(headers)
        self._on_begin, self._on_end = on_begin, on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path, status = scope["method"], scope["path"], 0
        client = scope.get("client")
        exchange = Exchange.begin(
            method, path[:_LONGEST_PATH], is_asking=path in ASKING, client=client[0] if client else None
        )
        if exchange.is_asking:
            self._on_begin(scope)
        if method == "HEAD":  # as GET, and the server sends no body
            scope = {**scope, "method": "GET"}
        told = dict(scope["headers"])
        own = [(REQUEST_ID, request_id(told.get(REQUEST_ID))), *self._headers]
        exchange.request_id = own[0][1].decode("latin-1")
        if is_messages(path):
            own.append((b"request-id", own[0][1]))  # as Anthropic calls it

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = with_defaults(message["headers"], own)
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            granted = self._checked(scope, told)
            own += granted
            body = await self._body(scope, receive)
            if body is None:
                return  # the client left before it had asked
            inner, replay = {**scope, JSON: _read(body) if body else None}, _replayed(body, receive)
            handle = self._straight.get((scope["method"], path))
            if granted and scope["method"] == "OPTIONS":
                await Response(status_code=204)(inner, replay, watched)
            elif handle is None:
                await self._app(inner, replay, watched)
            else:
                response = await handle(Request(inner, replay))
                await response(inner, replay, watched)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.status >= 500 and not isinstance(error, PlannerError):
                _LOGGER.error("%s %s failed: %s (%s)", method, path, _place(error), exchange.request_id)
            if status:
                raise  # the server ends the connection
            exchange.code = refusal.code
            words = error_body(refusal, path, exchange.request_id)
            response = JSONResponse(words, refusal.status, headers=refusal.headers)
            await response(scope, receive, watched)
        finally:
            exchange.end(status, self._names.of(path))
            self._on_end(exchange)

    def _checked(self, scope: Scope, told: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """Headers for a page of an allowed site. Raises Refusal for a foreign name or page."""
        host, origin, site = told.get(b"host"), told.get(b"origin"), told.get(b"sec-fetch-site")
        named = sum(name == b"host" for name, _ in scope["headers"])
        if named > 1:
            raise Refusal(f"a request names its host once, got {named} names", 400, code="invalid_http")
        self._origins.check(
            None if host is None else host.decode("latin-1"),
            at=(scope.get("server") or ("",))[0],
            version=scope.get("http_version", "1.1"),
            origin=None if origin is None else origin.decode("latin-1"),
            site=None if site is None else site.decode("latin-1").strip().lower(),
        )
        if origin is None or not self._origins.allows(origin.decode("latin-1")):
            return []
        headers = cross_origin(origin)
        if scope["method"] == "OPTIONS":
            private = b"access-control-request-private-network" in told
            headers += preflight(told.get(b"access-control-request-headers"), private=private)
        return headers

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body. Raises Refusal; None where the client left."""
        sizes = self._sizes
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if size > sizes.header:
            raise Refusal(f"headers have at most {sizes.header} bytes, got {size}", 431, code="too_large")
        if scope["method"] in ("GET", "HEAD", "OPTIONS", "DELETE"):
            return b""
        _check_encoding(dict(scope["headers"]))
        pieces, total = [], 0
        try:
            async with asyncio.timeout(sizes.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    piece = message.get("body", b"")
                    total += len(piece)
                    if total > sizes.body:
                        raise Refusal(
                            f"a body has at most {sizes.body} bytes, got more", 413, code="too_large"
                        )
                    pieces.append(piece)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise Refusal(
                f"a body arrives within {sizes.seconds:g} s, got one that did not", 408, code="slow_body"
            ) from None
        return b"".join(pieces)


def _check_encoding(told: Mapping[bytes, bytes]) -> None:
    """Raise Refusal for a body that is compressed, or in other characters than UTF-8."""
    packed = told.get(b"content-encoding", b"").strip().lower()
    if packed not in (b"", b"identity"):
        raise Refusal(
            f"a body is sent as it is, got content-encoding {packed[:40].decode('latin-1')!r}",
            415,
            param="content-encoding",
            code="content_encoding",
        )
    for part in told.get(b"content-type", b"").split(b";")[1:]:
        name, _, value = part.partition(b"=")
        charset = value.strip(b" \"'").lower()
        if name.strip().lower() == b"charset" and charset not in (b"utf-8", b"utf8", b"us-ascii", b""):
            raise Refusal(
                f"a body is in UTF-8, got charset {charset[:40].decode('latin-1')!r}",
                415,
                param="content-type",
                code="content_type",
            )


def _read(body: bytes) -> Any:
    """What the body says."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(f"a body is JSON, got: {_where(error)}", code="invalid_json") from None


def _place(error: Exception) -> str:
    """The kind of an error and where it was raised; not its words, which may be a client's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"


def _where(error: ValueError) -> str:
    """What the reader says, which names a place and no text."""
    return str(error)[:200]


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, then what really comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay
