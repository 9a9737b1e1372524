"""What is in flight: samples of each policy, and whether there is room for a request more.

A policy behind a server has a limit of samples (``SampleLimit``); one in this process a limit of requests,
since its samples share the CPU of the server itself. A request that has been let in counts as the samples
that it has in flight, and as one while it has none. Until it has asked for the first it counts as many as
requests before it asked for.

    >>> flights = InFlight({"small": SampleLimit(start=2), "own": 1})
    >>> place = flights.place("small")
    >>> flights.has_room("small"), flights.load("small")
    (True, 1)
    >>> place.asked("small", 4)
    >>> flights.has_room("small"), flights.load("small"), flights.has_room("own")
    (False, 4, True)
    >>> place.leave(), flights.load("small")
    (None, 0)

A policy's server is sent as many samples at a time as make it faster, learned from its answers. A server that
is given more than it can work on answers later and no faster. So the limit follows the load from which on
more brings no more: it is about twice that. It is adapted after each period, of seconds:

- *Rate* is the work that the server has done in a second, in tokens; *load* is how many samples were in
  flight on average (their seconds, summed, over the seconds of the period).
- The *knee* is the smallest load that reached nearly the best rate. While the samples take at most twice as
  long per token as they did there, and the limit is used, it grows by a tenth. Beyond that it shrinks by the
  gradient, the ratio of the two, to half at most.
- A server that refuses work (429, 503) halves it, once a period.
- Every five minutes the best rate is forgotten and the load brought back to the knee for a period, so that a
  server which has become faster or slower is known again.

Sources: the gradient algorithm of Netflix's ``concurrency-limits`` and Envoy's adaptive concurrency filter.
Both take the shortest latency for their measure. Servers that batch (vLLM) are slower at their full rate than
with one sample, so here it is the latency at the full rate.

    >>> limit = SampleLimit(start=8, most=64)
    >>> limit.limit
    8
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from planner.server.refusal import Refusal
from search.engines.protocol import ChildFinished, FinishReason, Request
from search.errors import ServeError, UnreachableError

__all__ = [
    "InFlight",
    "Place",
    "SampleLimit",
]

#: what a period has at least: seconds, samples, times that a sample takes: rates are known to a tenth then
_PERIOD, _SAMPLES, _TIMES = 1.0, 50, 8.0
#: seconds after which the best rate is forgotten
_AGE = 300.0
#: tokens that a sample's beginning (its prompt, its way) is taken to be worth
_BEGIN = 16
#: times the latency at the knee that are borne; shares of the best rate that count as better and as equal
_BORNE, _BETTER, _EQUAL = 2.0, 1.25, 0.85
#: by which a limit that is used grows
_GROWTH = 0.1


class SampleLimit:
    """The limit of one policy's server.

    Parameters
    ----------
    start:
        Samples at the beginning.
    least, most:
        Bounds that it never leaves; ``least`` is ``start`` where that is smaller.
    clock:
        Seconds, monotonic.

    Raises ServeError for bounds in the wrong order.
    """

    def __init__(
        self,
        start: int = 512,
        least: int = 16,
        most: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 1 <= start <= most:
            raise ServeError(f"a limit begins in [1, {most}] samples, got {start}")
        if least < 1:
            raise ServeError(f"at least 1 sample may be in flight, got {least}")
        self._limit, self._least, self._most = float(start), min(least, start), most
        self._clock = clock
        self._knee = self._pace = self._best = 0.0  # load, seconds per token there, tokens per second
        self._learned = self._since = clock()
        self._seconds = self._tokens = 0.0  # sums of the period
        self._samples = self._peak = 0
        self._is_refused = False

    @property
    def limit(self) -> int:
        """Samples that may be in flight."""
        return int(self._limit)

    def seen(self, in_flight: int) -> None:
        """So many samples are in flight now."""
        self._peak = max(self._peak, in_flight)

    def done(self, seconds: float, tokens: int) -> None:
        """A sample has ended by itself, after so many seconds and with so many tokens."""
        self._seconds += seconds
        self._tokens += _BEGIN + tokens
        self._samples += 1
        now = self._clock()
        if self._samples >= _SAMPLES:
            least = max(_PERIOD, _TIMES * self._seconds / self._samples)
            if now - self._since >= least:
                self._adapt(now)

    def refused(self) -> None:
        """The server has taken no more."""
        if not self._is_refused:
            self._is_refused = True
            self._set(min(self._limit, self._peak or self._limit) / 2.0)

    def _adapt(self, now: float) -> None:
        passed = now - self._since
        rate, load = self._tokens / passed, self._seconds / passed
        pace = self._seconds / self._tokens
        if now - self._learned >= _AGE:
            self._learned, self._best = now, 0.0
            self._set(min(self._limit, self._knee or self._limit))
        elif rate >= self._best * _BETTER or (rate >= self._best * _EQUAL and load < self._knee):
            self._best, self._knee, self._pace = max(self._best, rate), load, pace
        if not self._is_refused and self._best:
            gradient = 1.0 if pace <= 0.0 else min(1.0, _BORNE * self._pace / pace)
            is_used = self._peak * 2 >= self._limit
            if gradient < 1.0:
                self._set(min(self._limit, 2.0 * self._peak) * max(0.5, gradient))
            elif is_used:
                self._set(self._limit * (1.0 + _GROWTH) + 1.0)
        self._since, self._seconds, self._tokens = now, 0.0, 0.0
        self._samples, self._peak, self._is_refused = 0, 0, False

    def _set(self, limit: float) -> None:
        self._limit = min(float(self._most), max(float(self._least), limit))


#: weight of the newest request in the mean of samples that a request first asks for
_NEWEST = 0.1


class InFlight:
    """Counts samples and requests by policy. Used on one event loop.

    Parameters
    ----------
    limits:
        By policy: of samples, or a number of requests. A policy that is not named has none.
    clock:
        Seconds, monotonic.
    """

    def __init__(
        self,
        limits: Mapping[str, SampleLimit | int] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._samples: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._first = dict.fromkeys(limits, 1.0)  # samples that a request first asks for
        self._hearers: list[Callable[[], None]] = []

    def then(self, hear: Callable[[], None]) -> None:
        """Have somebody told whenever there may be more room."""
        self._hearers.append(hear)

    def load(self, policy: str) -> int:
        """What counts against the limit of a policy now."""
        return (self._requests if isinstance(self._limits.get(policy), int) else self._samples)[policy]

    def limit(self, policy: str) -> int | None:
        """The limit of a policy; None without one."""
        found = self._limits.get(policy)
        return found.limit if isinstance(found, SampleLimit) else found

    def limits(self) -> Iterator[tuple[str, int, int]]:
        """Each policy that has a limit, with its load and the limit."""
        for policy in self._limits:
            limit = self.limit(policy)
            if limit is not None:
                yield policy, self.load(policy), limit

    def has_room(self, policy: str | None) -> bool:
        """Whether a request that begins with this policy may be let in."""
        limit = None if policy is None else self.limit(policy)
        return policy is None or limit is None or self.load(policy) < limit

    def place(self, policy: str | None) -> Place:
        """A request that begins with this policy is let in."""
        return Place(self, policy, 1 if policy is None else math.ceil(self._first.get(policy, 1.0)))

    def add(self, policy: str, samples: int = 0, requests: int = 0) -> None:
        """Count more, or less."""
        self._samples[policy] += samples
        self._requests[policy] += requests
        limit = self._limits.get(policy)
        if isinstance(limit, SampleLimit) and samples > 0:
            limit.seen(self._samples[policy])
        if samples < 0 or requests < 0:
            for hear in self._hearers:
                hear()

    def learn(self, policy: str, samples: int) -> None:
        """A request has asked for its first samples."""
        if policy in self._first:
            self._first[policy] += _NEWEST * (samples - self._first[policy])

    def done(self, policy: str, seconds: float, tokens: int) -> None:
        """A sample has ended by itself."""
        limit = self._limits.get(policy)
        if isinstance(limit, SampleLimit):
            limit.done(seconds, tokens)

    def refused(self, policy: str) -> None:
        """A policy's server takes no more."""
        limit = self._limits.get(policy)
        if isinstance(limit, SampleLimit):
            limit.refused()

    @property
    def now(self) -> float:
        """Seconds, monotonic."""
        return self._clock()


class Place:
    """A request that has been let in: what it counts for. ``leave`` ends it.

    It hears of the request's samples (``planner.server.request.shaping.SampleObserver``): how many are in
    flight, and how long each takes. ``share`` of its budget that the request gets, in (0, 1]; ``waited`` in
    seconds.
    """

    def __init__(self, flights: InFlight, policy: str | None, expected: int) -> None:
        self._flights, self.policy = flights, policy
        self.share, self.waited = 1.0, 0.0
        self._begun: dict[str, tuple[float, int]] = {}  # request -> when, and children that have not ended
        self._flying: Counter[str] = Counter()
        self._held = 0
        self._has_asked = self._is_left = False
        if policy is not None:
            flights.add(policy, requests=1)
        self._hold(expected)

    def asked(self, policy: str, samples: int) -> None:
        """It asks for so many samples."""
        if not self._has_asked:
            self._has_asked = True
            self._flights.learn(policy, samples)
        self._flying[policy] += samples
        self._flights.add(policy, samples)
        self._hold(0)

    def ended(self, policy: str, samples: int) -> None:
        """So many of them have ended."""
        self._flying[policy] -= samples
        if not self._is_left and not self._flying.total():
            self._hold(1)
        self._flights.add(policy, -samples)

    def on_asked(self, policy: str, request: Request) -> None:
        """Samples are asked for. How long each takes is told to the limit of the policy."""
        self._begun[request.request_id] = self._flights.now, request.n
        self.asked(policy, request.n)

    def on_finished(self, policy: str, request: Request, child: ChildFinished) -> None:
        """One of them has ended."""
        at, left = self._begun[request.request_id]
        self._begun[request.request_id] = at, left - 1
        if child.finish_reason != FinishReason.CANCELLED:
            self._flights.done(policy, self._flights.now - at, len(child.token_ids))
        if not self._is_left:
            self.ended(policy, 1)

    def on_ended(self, policy: str, request: Request, error: BaseException | None) -> None:
        """All of them have, or nobody waits for them any more."""
        _, left = self._begun.pop(request.request_id)
        is_refused = isinstance(error, Refusal) and error.status == 429
        if is_refused or isinstance(error, UnreachableError):
            self._flights.refused(policy)
        if left > 0 and not self._is_left:
            self.ended(policy, left)

    def leave(self) -> None:
        """It has ended. Samples that nobody has ended yet (a policy that does not hear) count no more."""
        if self._is_left:
            return
        self._is_left = True
        for policy, samples in self._flying.items():
            if samples:
                self._flights.add(policy, -samples)
        self._flying.clear()
        if self.policy is not None:
            self._flights.add(self.policy, requests=-1)
        self._hold(0)

    def _hold(self, samples: int) -> None:
        """What it counts for beside what is in flight."""
        held, self._held = self._held, samples
        if self.policy is not None and samples != held:
            self._flights.add(self.policy, samples - held)
