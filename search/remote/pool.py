"""Pooled connections to one server: JSON goes out, an answer comes back, failures have names.

Asks once. Who may ask again, and what a lost answer costs, is decided above.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
from yarl import URL

from search.errors import BrokenError, RefusedError, UnreachableError
from search.remote.trace_headers import TRACE

__all__ = ["Pool"]

#: nothing was sent, so nothing was computed
_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
#: a version in an address
_VERSION = re.compile(r"/v\d+[a-z0-9]*(?=/|$)")
#: seconds that an unused connection is kept; servers close theirs after five
_IDLE = 4.0


class Pool:
    """Connections to one server. Serves one event loop after another; close it on the last one.

    Proxies are the environment's (``HTTPS_PROXY``, ``NO_PROXY``), read once.

    Parameters
    ----------
    base_url:
        ``http://host:8000`` or ``http://host:8000/v1``: both mean the same server. One that names another
        version (``https://host/v1beta/openai``) is taken as it is.
    api_key:
        Sent as a bearer token; in no message.
    silence:
        Most seconds without a byte of an answer.
    connections:
        Most connections at a time; more requests wait for one.
    reuse:
        Whether a connection serves several requests. Not for servers that close one after a stream without
        saying so (llama.cpp's): what is sent into it meanwhile is lost.

    Raises
    ------
    RefusedError
        The URL is none.
    ValueError
        A number is out of its range.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        silence: float = 120.0,
        connections: int = 512,
        reuse: bool = True,
    ) -> None:
        try:
            url = URL(base_url)
        except ValueError as error:
            raise RefusedError(f"a base URL must be a URL, got {base_url!r}: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise RefusedError(f"a base URL must begin with http:// or https://, got {base_url!r}")
        if not silence > 0.0:
            raise ValueError(f"silence must be positive, got {silence}")
        if connections < 1:
            raise ValueError(f"connections must be at least 1, got {connections}")
        self.root = base_url.rstrip("/").removesuffix("/v1")
        # some name a version of their own, under which the paths begin: .../v1beta/openai
        self._has_version = bool(_VERSION.search(URL(self.root).path))
        self._headers = {
            # packing costs time on both sides, and answers are short
            "Accept-Encoding": "identity",
            **({} if api_key is None else {"Authorization": f"Bearer {api_key}"}),
        }
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(silence, 10.0), sock_read=silence)
        self._proxy = None if urllib.request.proxy_bypass(url.host) else _proxy(url.scheme)
        #: most at a time
        self.connections = connections
        self._reuse = reuse
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def answer(
        self, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET, or to a POST of ``body``, of whatever status, its content unread.

        The trace of the work at hand is sent along. A POST is sent once; a GET whose connection breaks is
        sent again, once.
        Leaving the context before all is read closes the connection, which is how a server hears that
        nobody listens. Raises UnreachableError (nothing was sent), BrokenError, RefusedError.
        """
        url = self._urls.get(path)
        if url is None:
            under = path.removeprefix("/v1") if self._has_version else path
            url = self._urls[path] = URL(self.root + under)
        with _named(url):
            session = await self._open()
            if body is None:
                asked = session.get(url, headers=TRACE.get(), allow_redirects=False)
            else:
                asked = session.post(
                    url,
                    data=json.dumps(body, separators=(",", ":")).encode(),
                    headers={"Content-Type": "application/json", **TRACE.get()},
                    allow_redirects=False,
                )
            async with asked as answer:
                yield answer

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or loop is not self._loop:  # connections belong to a loop
            await self.close()
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                headers=self._headers,
                timeout=self._timeout,
                proxy=self._proxy,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
            self._loop = loop
        return self._session

    def _connector(self) -> aiohttp.TCPConnector:
        if self._reuse:
            return aiohttp.TCPConnector(limit=self.connections, keepalive_timeout=_IDLE)
        return aiohttp.TCPConnector(limit=self.connections, force_close=True)


def _proxy(scheme: str) -> str | None:
    found = urllib.request.getproxies()
    return found.get(scheme, found.get("all"))


@contextmanager
def _named(url: URL) -> Iterator[None]:
    """Failures of the transport as errors of ours."""
    try:
        yield
    except _UNSENT as error:
        raise UnreachableError(f"a server must be reachable, got {_said(error)} from {url}") from error
    except aiohttp.ServerTimeoutError as error:
        raise BrokenError(f"a server must not fall silent, got nothing for too long from {url}") from error
    except aiohttp.InvalidURL as error:
        raise RefusedError(f"a base URL must be a URL, got {str(url)!r}: {error}") from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise BrokenError(f"an answer must not break off, got {_said(error)} from {url}") from error


def _said(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        # the library's own words speak of ssl at every address, http:// ones too
        cause = error.os_error
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return repr(f"no address for {error.host}")
        return repr(os.strerror(cause.errno) if cause.errno else str(cause) or type(cause).__name__)
    return repr(str(error) or type(error).__name__)
