"""A challenger beside the planner in use: which requests it is given, and whether it is better.

The draw is a keyed hash of the request's id, so that processes need not agree on anything but the key, which
lies in their decision log, and so that a draw can be repeated from the log. Ids are made by the server.

Now and then what the log says of both planners is tested. The test may be looked at as often as one likes
(``planner.traffic.challenge``). A promotion is kept in the decision log, once for a pair of planners, so that
every process and every restart knows of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from planner.server.current import InUse, Served
from planner.server.decisions.log import DecisionLog
from planner.server.decisions.recorder import Assignment
from planner.server.decisions.store import Store
from planner.server.lasting import Lasting
from planner.traffic.challenge import ChallengeState, read_challenge
from planner.traffic.sources import Sources
from search.errors import DecisionLogError, PlannerError, ServeError

__all__ = [
    "Challenge",
    "ChallengeWatch",
    "place_of",
    "promotion_name",
    "promotion_of",
]

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


#: a test takes at most this share of the time
_SHARE = 0.05


class ChallengeWatch:
    """Keeps the newest state.

    Parameters
    ----------
    challenge, current, log:
        The challenger, the planner in use, and where decisions are kept.
    price:
        Accuracy that a FLOP costs.
    sources:
        Who gives feedback.
    every:
        Seconds between two tests.
    clock:
        Seconds since the epoch.
    """

    def __init__(
        self,
        challenge: Challenge,
        current: InUse,
        log: DecisionLog,
        *,
        price: float = 0.0,
        sources: Sources | None = None,
        every: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.challenge = challenge
        self.state: ChallengeState | None = None
        self.promotion: dict[str, Any] | None = None
        self._current = current
        self._log = log
        self._price, self._sources = price, sources or Sources()
        self._every, self._clock = every, clock
        self._said: tuple[tuple[str, str], str] | None = None
        self._task = Lasting()

    async def start(self) -> None:
        """Take up what was promoted before, and begin to test, on the running loop."""
        if not self._task.is_running:
            await self.look()
            self._task.start(self._run())

    async def close(self) -> None:
        """End."""
        await self._task.close()

    async def look(self) -> None:
        """Test once. A log that cannot be read leaves things as they are."""
        pair = self.challenge.pair(self._current.served)
        try:
            await asyncio.to_thread(self._look, pair)
        except Exception as error:  # a database that is away: the next time may do better
            _LOGGER.warning("the challenger could not be tested: %s", type(error).__name__)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the console."""
        champion, challenger = self.challenge.pair(self._current.served)
        state = self.state
        mine = state is not None and (state.champion.planner, state.challenger.planner) == (
            champion,
            challenger,
        )
        return {
            "champion": champion,
            "challenger": challenger,
            "share": self.challenge.share,
            "promotes": self.challenge.promotes,
            "promoted": self.promotion,
            "state": None if state is None or not mine else state.to_json(),
        }

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            await self.look()
            await asyncio.sleep(max(self._every, (time.monotonic() - began) / _SHARE))

    def _look(self, pair: tuple[str, str]) -> None:
        store = self._log.store
        try:
            state: ChallengeState | None = read_challenge(
                store, *pair, price=self._price, sources=self._sources, now=self._clock()
            )
        except DecisionLogError:
            state = None  # nothing was drawn yet
        self.state = state
        if state is not None:
            self._tell(pair, state)
        if state is not None and state.state == "better" and self.challenge.promotes:
            said = {
                "at": self._clock(),
                "points": 100.0 * state.utility.value,
                "low": 100.0 * state.utility.low,
                "high": 100.0 * state.utility.high,
                "words": state.utility.observations,
            }
            store.setting(promotion_name(*pair), json.dumps(said))
        found = promotion_of(store, *pair)
        if found is not None and self.challenge.promotes and self.challenge.promoted != pair:
            _LOGGER.warning(
                "the challenger %s is promoted and answers everything: %+.1f points of utility "
                "(%+.1f to %+.1f) after %d words of feedback",
                pair[1][:12], found["points"], found["low"], found["high"], found["words"],
            )  # fmt: skip
            self.challenge.promoted = pair
        self.promotion = found

    def _tell(self, pair: tuple[str, str], state: ChallengeState) -> None:
        """Say a change of the verdict once."""
        if state.state != "undecided" and self._said != (pair, state.state):
            _LOGGER.warning("challenger %s: %s", pair[1][:12], state.sentence)
        self._said = (pair, state.state)


def promotion_name(champion: str, challenger: str) -> str:
    """Under which name a log keeps that a challenger was promoted."""
    return f"challenge/{champion}/{challenger}/promoted"


def promotion_of(store: Store, champion: str, challenger: str) -> dict[str, Any] | None:
    """When and on what a challenger was promoted; None where it was not."""
    text = store.value(promotion_name(champion, challenger))
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found
