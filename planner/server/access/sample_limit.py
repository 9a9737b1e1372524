"""How many samples a policy's server is sent at a time: as many as make it faster, learned from its answers.

A server that is given more than it can work on answers later and no faster. So the limit follows the load
from which on more brings no more: it is about twice that. It is adapted after each period, of seconds:

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

import time
from collections.abc import Callable

from search.errors import ServeError

__all__ = ["SampleLimit"]

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
