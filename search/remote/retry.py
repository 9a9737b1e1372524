"""When to ask a server again: backoff with jitter, bounded by patience.

Two kinds of failures, told apart by what they may have cost:

- nothing was computed (``UnreachableError``: refused connections, 429, 503): asked again until the
  patience is used up;
- work may be lost (``BrokenError``): asked again a few times only, and whoever asks charges what is lost.

    >>> from random import Random
    >>> retry = Retry(patience=60, first=1.0, longest=8.0)
    >>> [retry.delay(tries, Random(0)) <= limit for tries, limit in enumerate([1, 2, 4, 8, 8])]
    [True, True, True, True, True]
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Retry"]


@dataclass(frozen=True, slots=True)
class Retry:
    """The rules of asking again.

    Parameters
    ----------
    patience:
        Seconds that a request waits for a server which cannot be reached or takes no more work.
    breaks:
        How often one request may break off before that is an error.
    first, longest:
        Seconds before the second try, and the most between two tries. Each wait is twice the one before.
    """

    patience: float = 30.0
    breaks: int = 3
    first: float = 0.25
    longest: float = 15.0

    def __post_init__(self) -> None:
        if not self.patience >= 0.0:
            raise ValueError(f"patience cannot be negative but got {self.patience}")
        if self.breaks < 0:
            raise ValueError(f"breaks cannot be negative but got {self.breaks}")
        if not 0.0 < self.first <= self.longest:
            raise ValueError(
                f"the first wait must be in (0, longest], got first={self.first}, longest={self.longest}"
            )

    def delay(self, tries: int, rng: Random, at_least: float | None = None) -> float:
        """Seconds to wait after ``tries`` failed tries beyond the first one.

        Uniform between half and the whole of the backoff, so that many requests that failed together
        do not come back together. ``at_least``: what the server asked for, in seconds.
        """
        backoff = min(self.longest, self.first * 2.0 ** min(tries, 60))
        return max(backoff * rng.uniform(0.5, 1.0), at_least or 0.0)
