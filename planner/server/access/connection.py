"""A connection that must say what it wants in time and in few words: uvicorn's own waits for ever and takes
headers of any length.
"""

from __future__ import annotations

import asyncio
import json
import re

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from planner.server.access.response_headers import REQUEST_ID, request_id, with_defaults
from planner.server.refusal import Refusal

__all__ = ["authority", "patient"]


def authority(url: bytes) -> bytes:
    """Host and port of the target of a request; b"" where it names none.

    >>> authority(b"http://evil.example:80/v1/models"), authority(b"*")
    (b'evil.example:80', b'')
    """
    _, found, rest = url.partition(b"://")
    return re.split(rb"[/?#]", rest, maxsplit=1)[0] if found else b""


def patient(seconds: float, header: int) -> type[asyncio.Protocol]:
    """A protocol class whose connections are closed when a request's head takes longer than ``seconds``.

    A head of more than ``header`` bytes is answered with 431 as soon as so many have come.
    """

    class Patient(HttpToolsProtocol):
        _hasty: asyncio.TimerHandle | None = None
        _in_head = False
        _head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._begin()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head:
                # what came with the end of another request counts too: at most one read of it
                self._head_bytes += len(data)
                if self._head_bytes > header and not self.transport.is_closing():
                    self._refuse(431, f"headers have at most {header} bytes, got more", "too_large")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head, self._head_bytes = True, 0
            self._begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._end()
            if not self.url.startswith(b"/"):  # a whole URL, whose host counts in place of the header's
                host = authority(self.url)
                others = [pair for pair in self.headers if pair[0] != b"host"]
                self.headers[:] = [(b"host", host), *others]
            super().on_headers_complete()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, f"a request must be HTTP, got none: {msg}"[:200], "invalid_http")

        def _refuse(self, status: int, words: str, code: str) -> None:
            """Answer what is no request, and close."""
            said = json.dumps(Refusal(words, status, code=code).body).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(said)).encode()),
                (b"connection", b"close"),
            ]
            own = [(REQUEST_ID, request_id(None))]
            lines = [b"%s: %s\r\n" % pair for pair in with_defaults(headers, own)]
            self.transport.write(STATUS_LINE[status] + b"".join(lines) + b"\r\n" + said)
            self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end()
            super().connection_lost(exc)

        def _begin(self) -> None:
            if self._hasty is None:
                self._hasty = self.loop.call_later(seconds, self.transport.close)

        def _end(self) -> None:
            if self._hasty is not None:
                self._hasty.cancel()
                self._hasty = None

    return Patient
