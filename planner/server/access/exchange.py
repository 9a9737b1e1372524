"""One request and its response, as figures and the access log see them. It holds no text of either."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Exchange", "Notes"]

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
        As asked, without the query; ``route`` is the path's name (``planner.server.route_names``).
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
