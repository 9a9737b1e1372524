"""DeepConf (Fu et al., arXiv 2508.15260), its online form, as a client of any OpenAI-compatible server.

A token's confidence is the negative mean of the logprobs of its 20 likeliest candidates; a solution's is
the lowest mean over a window of tokens (section 3). A few solutions are written whole. The percentile of
their confidences that keeps 90% of them is the threshold from then on (algorithm 2, "DeepConf-high"): a
solution whose window falls below it is stopped and has no vote. Votes count by confidence, and no further
solution is begun once the leading answer has 95% of them, or the budget is spent.

What differs: solutions of a few hundred tokens have a window of 64 tokens instead of 2,048, four solutions
of eight are written whole instead of 16 of 512, and equal answers are those that the grader takes for
equal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search.engines.confidence import WINDOW, of_token

__all__ = ["BUDGET", "KEPT", "SURE", "TOP", "WHOLE", "Trace", "elected", "share_of_leader", "threshold"]

#: solutions at most; those that are written whole; candidates of a token
BUDGET, WHOLE, TOP = 8, 4, 20
#: the share of solutions that the threshold keeps; the share of votes that ends the drawing
KEPT, SURE = 0.9, 0.95

Equal = Callable[[str, str], bool]


@dataclass(slots=True)
class Trace:
    """A solution as it is written: its pieces of text, and its lowest confidence so far."""

    pieces: list[str] = field(default_factory=list)
    lowest: float | None = None
    is_stopped: bool = False
    _window: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _seen: int = 0

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.pieces)

    @property
    def confidence(self) -> float:
        """That of the whole solution; of one that is shorter than a window, its mean."""
        if self.lowest is not None:
            return self.lowest
        return float(np.mean(self._window)) if self._window else 0.0

    def add(self, content: Iterable[Any]) -> None:
        """Tokens with their ``top_logprobs``, as a chat's stream tells them."""
        for token in content:
            known = of_token([one.logprob for one in token.top_logprobs], TOP)
            if known is None:
                continue
            self._window.append(known[1])
            self._seen += 1
            if self._seen >= WINDOW:
                mean = float(np.mean(self._window))
                self.lowest = mean if self.lowest is None else min(self.lowest, mean)


def threshold(traces: Sequence[Trace], kept: float = KEPT) -> float:
    """The confidence that a share of some whole solutions has at least."""
    return float(np.percentile([trace.confidence for trace in traces], 100.0 * (1.0 - kept)))


def elected(votes: Sequence[tuple[str, float]], equal: Equal) -> tuple[int, list[float]]:
    """The place of the first vote for the answer that has the most weight, and the weight of every answer.

    >>> elected([("1", 2.0), ("2", 1.5), ("2", 1.0)], lambda one, other: one == other)
    (1, [2.0, 2.5])
    """
    if not votes:
        raise ValueError("an election needs votes, got none")
    firsts: list[int] = []
    weights: list[float] = []
    for place, (answer, weight) in enumerate(votes):
        at = next((n for n, first in enumerate(firsts) if equal(votes[first][0], answer)), None)
        if at is None:
            firsts.append(place)
            weights.append(weight)
        else:
            weights[at] += weight
    return firsts[int(np.argmax(weights))], weights


def share_of_leader(weights: Sequence[float]) -> float:
    """The share of all votes that the leading answer has."""
    total = sum(weights)
    return max(weights) / total if total > 0.0 else 0.0
