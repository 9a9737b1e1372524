"""Origins: by which names a server may be called, and from which web pages.

A web page can send requests to any address that its reader's browser reaches, this machine's too. Under DNS
rebinding even the browser takes them for requests to the page's own host: only ``Host`` tells them apart.

    >>> origins = Origins(host_names=("planner.example",))
    >>> origins.check("127.0.0.1:8400")
    >>> origins.check("planner.example", origin="https://planner.example", site="same-origin")
    >>> origins.check("rebound.example:8400")
    Traceback (most recent call last):
    planner.server.refusal.Refusal: a request must name a host of this server (--host-name adds one), \
got 'rebound.example:8400'
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from cachetools import LRUCache

from planner.server.refusal import Refusal
from search.errors import ServeError

__all__ = ["ANY", "Origins", "cross_origin", "is_loopback", "preflight"]

_Headers = list[tuple[bytes, bytes]]

#: as an allowed origin: every page may call, which only a server with keys can afford
ANY = "*"

#: a host, perhaps with a port: a name, an address, or an IPv6 address in brackets
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::(\d{1,5}))?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)")

#: what pages of other sites may read of an answer
_EXPOSED = b"x-request-id, request-id, x-planner-mode, retry-after, x-should-retry"

#: values of ``Host`` whose verdict is kept
_MOST_KEPT = 256


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address or a name.

    >>> is_loopback("127.8.8.8"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """Who may call a server, by the headers that browsers set.

    Parameters
    ----------
    host_names:
        Names that the server is called by beside those of this machine.
    allowed:
        Origins of other sites whose pages may call it (``https://app.example``), or ``ANY``.
    any_host:
        Whether a server that others reach takes every name, where ``host_names`` is empty. Its keys protect
        it: no page knows them.

    Raises ServeError for a name or an origin that is none.
    """

    host_names: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    any_host: bool = False
    _names: frozenset[str] = field(init=False)
    _pages: frozenset[str] = field(init=False)
    _kept: LRUCache[str, bool] = field(init=False, default_factory=lambda: LRUCache(_MOST_KEPT))

    def __post_init__(self) -> None:
        names, pages = set(), set()
        for name in self.host_names:
            found = _split(name)
            if found is None or found[1] is not None:
                raise ServeError(f"a host name has neither scheme, port nor path, got {name!r}")
            names.add(found[0])
        for page in self.allowed:
            origin = page if page == ANY else _origin(page)
            if origin is None:
                raise ServeError(f"an origin is SCHEME://HOST[:PORT] without a path, got {page!r}")
            pages.add(origin)
        object.__setattr__(self, "_names", frozenset(names))
        object.__setattr__(self, "_pages", frozenset(pages))

    def check(
        self,
        host: str | None,
        *,
        at: str = "",
        version: str = "1.1",
        origin: str | None = None,
        site: str | None = None,
    ) -> None:
        """Raise Refusal for a request by a foreign name (421) or from a foreign page (403).

        Parameters
        ----------
        host, origin, site:
            The headers ``Host``, ``Origin`` and ``Sec-Fetch-Site``, None where they are missing.
        at:
            The address at which the request arrived, as the ASGI server tells it: a name of this server too.
        version:
            HTTP's. Only 1.0 may leave out ``Host``, and no browser does.
        """
        if host is None:
            if version != "1.0":
                raise Refusal("a request must name its host, got none", 421, code="unknown_host")
        elif not (self._is_ours(host) or _is_at(host, at)):
            raise Refusal(
                f"a request must name a host of this server (--host-name adds one), got {host[:80]!r}",
                421,
                code="unknown_host",
            )
        if origin is None:
            if site == "cross-site" and ANY not in self._pages:
                raise _foreign("Sec-Fetch-Site: cross-site")
        elif not self.allows(origin) and (site == "cross-site" or not self._is_own(origin, host)):
            raise _foreign(origin)

    def allows(self, origin: str) -> bool:
        """Whether pages of another site may call, by their origin."""
        return bool(self._pages) and (ANY in self._pages or _origin(origin) in self._pages)

    def _is_ours(self, host: str) -> bool:
        """By the header ``Host``."""
        known = self._kept.get(host)
        if known is None:
            found = _split(host)
            known = found is not None and self._is_name(found[0])
            self._kept[host] = known
        return known

    def _is_name(self, name: str) -> bool:
        if name in self._names or is_loopback(name.strip("[]")):
            return True
        return self.any_host and (not self._names or _is_address(name))

    def _is_own(self, origin: str, host: str | None) -> bool:
        """Whether an origin is that of this server's own pages."""
        parts = _ORIGIN.fullmatch(origin.lower())
        found = None if parts is None else _split(parts[2])
        if parts is None or found is None or parts[1] not in ("http", "https"):
            return False
        if found[0] in self._names:  # behind a proxy, which may have changed scheme, host and port
            return True
        called = None if host is None else _split(host)
        if called is None:
            return False
        default = 443 if parts[1] == "https" else 80
        return (found[0], found[1] or default) == (called[0], called[1] or default)


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


def _foreign(got: str) -> Refusal:
    return Refusal(
        f"a web page of another site must be allowed (--allow-origin), got {got[:80]!r}",
        403,
        code="foreign_origin",
    )


def _split(host: str) -> tuple[str, int | None] | None:
    """Name and port of ``name[:port]``, in lower case and without a last dot; None where it is none."""
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return None
    return found[1], None if found[2] is None else int(found[2])


def _origin(text: str) -> str | None:
    """An origin as browsers spell it; None where it is none.

    >>> _origin("HTTPS://App.example:443"), _origin("http://app.example:3000"), _origin("https://a/b")
    ('https://app.example', 'http://app.example:3000', None)
    """
    parts = _ORIGIN.fullmatch(text.lower())
    found = None if parts is None else _split(parts[2])
    if parts is None or found is None:
        return None
    name, port = found
    if port is None or port == {"http": 80, "https": 443}.get(parts[1]):
        return f"{parts[1]}://{name}"
    return f"{parts[1]}://{name}:{port}"


def _is_at(host: str, at: str) -> bool:
    """Whether a header ``Host`` names the very address at which the request arrived."""
    found = _split(host)
    return bool(at) and found is not None and found[0].strip("[]") == at.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
