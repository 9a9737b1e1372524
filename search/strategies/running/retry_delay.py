"""Retry delay: whether a request that failed at the engine is sent again, and when.

Only where nothing is charged twice: nothing was computed (UnreachableError), or what was lost is known
child by child and has been charged (BrokenError with its children, which ``search.strategies.running.resume``
continues). Within a deadline a request is retried as often as time allows. Without one a broken request is
retried a few times, and an unreachable server not at all: its engine has waited long enough itself.

    >>> retry_delay(UnreachableError("a server must be reachable"), 0, math.inf) is None
    True
    >>> 0.0 < retry_delay(UnreachableError("a server must be reachable"), 0, 5.0) <= 0.1
    True
    >>> retry_delay(BrokenError("an answer must not break off"), 0, 5.0) is None  # nobody knows what it took
    True
"""

from __future__ import annotations

import math
from random import Random

from search.errors import BrokenError, EngineError, UnreachableError
from search.remote.retry import Retry

__all__ = ["retry_delay"]

_RETRY = Retry(breaks=3, first=0.1, longest=5.0)
#: spreads waits, so that requests that failed together do not come back together; draws nothing else
_RNG = Random()


def retry_delay(error: EngineError, breaks: int, seconds_left: float) -> float | None:
    """Seconds to wait before asking again; None: not again.

    Parameters
    ----------
    breaks:
        How often the request has failed before.
    seconds_left:
        Until the deadline; infinite without one.
    """
    is_timed = math.isfinite(seconds_left)
    if isinstance(error, BrokenError) and error.partial:
        pause = _RETRY.delay(breaks, _RNG)
        if not is_timed and breaks >= _RETRY.breaks:
            return None
    elif isinstance(error, UnreachableError) and is_timed:
        pause = _RETRY.delay(breaks, _RNG, error.retry_after)
    else:
        return None
    return pause if pause < seconds_left else None
