"""Serves the console: ``GET /``, ``GET /docs`` and ``GET /console/<file>``, each with its security headers.

The files are hand-written ES modules, styles and two documents, read once from the package: there is no
build step, and nothing is asked of another host. The page finds the API beside itself (``v1/...``), so it
also works behind a proxy that puts a path in front. It needs no key; what it asks of the API may.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["CONTENT_POLICY", "HEADERS", "Page", "mount", "pages"]

#: scripts, styles and requests of this origin only, and none of them inline
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)

#: of every file of the console
HEADERS = MappingProxyType(
    {
        "content-security-policy": CONTENT_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "cache-control": "no-cache",
    }
)

_TYPES = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)

#: the documents, and where each is served: the console, and the page that shows the API's own document
_DOCUMENTS = MappingProxyType({"index.html": "/", "docs.html": "/docs"})


@dataclass(frozen=True, slots=True)
class Page:
    """One file of the console. ``path`` is where it is served; ``kind`` its content type."""

    path: str
    kind: str
    body: bytes

    @property
    def tag(self) -> str:
        """Its entity tag: a hash of its content."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    def response(self, request: Request) -> Response:
        """The file, or 304 where the client holds it already."""
        headers = {**HEADERS, "etag": self.tag}
        known = request.headers.get("if-none-match", "")
        if self.tag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers={**headers, "content-type": self.kind})


def pages() -> tuple[Page, ...]:
    """All files of the console, its document first."""
    found = []
    for name, file in _walk(files("planner.server.console") / "page", ""):
        kind = _TYPES.get(name[name.rfind(".") :])
        if kind is not None:
            path = _DOCUMENTS.get(name, f"/console/{name}")
            found.append(Page(path, kind, file.read_bytes()))
    return tuple(sorted(found, key=lambda page: page.path))


def mount(app: Starlette) -> None:
    """Add the console to a server's routes. Paths that are no file of it stay the server's business."""
    for page in pages():
        app.add_route(page.path, _endpoint(page), methods=["GET"], include_in_schema=False)


def _endpoint(page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return page.response(request)

    return serve


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
