"""Draws which of two planners a request is given to: the champion, or the challenger with a small chance.

The draw is a keyed hash of the request's id, so that processes need not agree on anything but the key, which
lies in their decision log, and so that a draw can be repeated from the log. Ids are made by the server.
"""

from __future__ import annotations

import hashlib
import logging

from planner.server.current import InUse, Served
from planner.server.decisions.recorder import Assignment
from search.errors import PlannerError, ServeError

__all__ = ["Challenge", "place_of"]

_LOGGER = logging.getLogger("planner.server")


class Challenge:
    """A challenger beside the planner in use.

    Parameters
    ----------
    challenger:
        What is drawn with the chance ``share``, in (0, 1).
    seed:
        The key of the draw; the same in all processes.
    promotes:
        Whether the challenger answers everything once it was promoted (``promoted`` is set).
    """

    def __init__(self, challenger: InUse, share: float, seed: str, *, promotes: bool = False) -> None:
        if not 0.0 < share < 1.0:
            raise ServeError(f"a challenger's share of requests is in (0, 1), got {share}")
        self.challenger = challenger
        self.share = share
        self.promotes = promotes
        #: the pair of fingerprints whose challenger answers everything
        self.promoted: tuple[str, str] | None = None
        self._seed = seed.encode()

    def pair(self, champion: Served) -> tuple[str, str]:
        """The fingerprints of both."""
        return champion.fingerprint, self.challenger.served.fingerprint

    def draw(self, champion: Served, response_id: str) -> tuple[Served, Assignment]:
        """Which planner a request is given to."""
        challenger = self.challenger.served
        pair = (champion.fingerprint, challenger.fingerprint)
        share = 1.0 if self.promotes and self.promoted == pair else self.share
        if share == 1.0 or place_of(self._seed, response_id) < share:
            arm = Assignment(champion=pair[0], challenger=pair[1], arm="challenger", chance=share)
            return challenger, arm
        return champion, Assignment(champion=pair[0], challenger=pair[1], arm="champion", chance=1.0 - share)

    async def reload(self) -> None:
        """Take the challenger that lies in its place now; a broken one is refused and the old one stays."""
        try:
            await self.challenger.reload()
        except (PlannerError, OSError) as error:
            _LOGGER.error(
                "the challenger at %s is refused, the old one stays: %s", self.challenger.place, error
            )


def place_of(seed: bytes, response_id: str) -> float:
    """A place in [0, 1), uniform over ids.

    >>> 0.0 <= place_of(b"key", "chatcmpl-1") < 1.0
    True
    """
    digest = hashlib.blake2b(response_id.encode(), key=seed[:64], digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
