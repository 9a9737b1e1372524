"""What a log keeps of a solution's logprobs: a few numbers instead of one per token.

The mean over a sliding window finds a short uncertain stretch that the mean over the whole solution hides;
its lowest value is the "lowest group confidence" of Fu et al. (DeepConf, arXiv 2508.15260, section 3.1),
there taken over the top logprobs of each token (``search.engines.confidence``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from search.engines.confidence import WINDOW

__all__ = ["LogprobSummary", "summarize"]


@dataclass(frozen=True, slots=True)
class LogprobSummary:
    """Natural logarithms, per token. None (and no steps) where no logprobs were given.

    ``steps`` holds one mean per step, and nothing where the steps do not add up to the tokens.
    """

    mean: float | None = None
    minimum: float | None = None
    lowest_window: float | None = None
    steps: tuple[float, ...] = ()


def summarize(
    logprobs: Sequence[float], step_tokens: Sequence[int] = (), *, window: int = WINDOW
) -> LogprobSummary:
    """Summarize the logprobs of one solution.

    Parameters
    ----------
    logprobs:
        One per generated token; may be empty.
    step_tokens:
        Tokens per step. A step of no tokens gets the value of the token at its place.
    window:
        Tokens per window, at least 1; a shorter solution is one window.

    >>> summarize([-1.0, -3.0, -2.0, 0.0], [2, 2], window=2)
    LogprobSummary(mean=-1.5, minimum=-3.0, lowest_window=-2.5, steps=(-2.0, -1.0))
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    if not logprobs:
        return LogprobSummary()
    count = len(logprobs)
    width = min(window, count)
    lowest = min(math.fsum(logprobs[at : at + width]) for at in range(count - width + 1)) / width
    return LogprobSummary(
        math.fsum(logprobs) / count, min(logprobs), lowest, _step_means(logprobs, step_tokens)
    )


def _step_means(logprobs: Sequence[float], step_tokens: Sequence[int]) -> tuple[float, ...]:
    if sum(step_tokens) != len(logprobs):
        return ()
    means = []
    for end, tokens in zip(accumulate(step_tokens), step_tokens, strict=True):
        first = min(end - tokens, len(logprobs) - 1)
        means.append(math.fsum(logprobs[first : first + max(1, tokens)]) / max(1, tokens))
    return tuple(means)
