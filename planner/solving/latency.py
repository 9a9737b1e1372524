"""How long a choice takes here and now: learned from what ran before, corrected by what ran just now.

For each kind of work (policy, PRM or none, sampled or run by a strategy) seconds are linear in four figures:
one, the depth (tokens written one after another: all tokens over n), the depth times the requests beside it,
and all tokens. Weights are fitted by recursive least squares on relative figures, with exponential resetting
and forgetting (Salgado, Goodwin and Middleton, International Journal of Control 47(2), 1988): the information
about a direction that nothing is seen of (the load when it never changes) falls back to what it was at the
start and no lower, where plain forgetting would lose it all and diverge. On top a factor follows the ratio of
actual to predicted of the newest runs, which is how the present load shows before the weights have moved.

    >>> latency = Latency()
    >>> for tokens in range(100, 1100, 100):
    ...     latency.observe(Work("policy", None, 4, False), tokens, seconds=0.1 + 0.001 * tokens, load=1)
    >>> round(latency.predict(Work("policy", None, 4, False), 500, load=1).mean, 2)
    0.6

Nothing is said of a policy that has hardly run. Knows nothing of budgets or decisions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search.choice import Choice

__all__ = ["Latency", "Seconds", "Work"]

Floats = NDArray[np.float64]

#: weight of an old observation relative to the one after it, and of the newest in the factor
_FORGET, _NEWEST = 0.995, 0.15
#: observations from which a kind is predicted
_ENOUGH = 5
#: of the normal distribution, for the 90% quantile
_Z90 = 1.2816
#: the depth and the tokens are told in hundreds, so that weights are alike in size
_SCALE = 100.0
#: information about each weight at the start, and at least
_START = 0.01 * np.eye(4)
#: seconds that are told apart, and the most tokens that are
_SHORTEST, _LONGEST = 1e-4, 1e6
_MOST = 2**53
#: the newest endings that the margin is taken from, which quantile of them, and the most of a deadline
_ENDINGS, _LATEST, _LARGEST = 64, 0.95, 1 / 3


@dataclass(frozen=True, slots=True)
class Work:
    """What is run: so many solutions of a policy side by side, scored by a PRM, sampled or grown.

    ``strategy``: of a plan that must be run. Rounds one after another, programs in the jail and thoughts make
    its seconds its own; until it has run often enough it is one of all such plans.
    """

    policy: str
    prm: str | None
    n: int
    is_tree: bool
    strategy: str = ""

    @classmethod
    def of(cls, choice: Choice, drawn: int = 0) -> Work:
        """A choice's, of which so many samples are there already."""
        plan = choice.plan
        n = max(1, plan.described.fresh(drawn))
        strategy = plan.strategy if plan.must_run else ""
        return cls(choice.policy, choice.prm, n, plan.must_run, strategy)


@dataclass(frozen=True, slots=True)
class Seconds:
    """A prediction: the mean and the 90% quantile."""

    mean: float
    p90: float


@dataclass(slots=True, eq=False)
class _Kind:
    weights: Floats = field(default_factory=lambda: np.zeros(4))
    information: Floats = field(default_factory=_START.copy)
    seen: int = 0
    spread: float = 0.1  # mean square of log ratios

    def learn(self, x: Floats, seconds: float) -> None:
        size = float(np.linalg.norm(x))  # noise grows with what is done, and information stays bounded
        x, seconds = x / size, seconds / size
        self.information = _FORGET * self.information + (1.0 - _FORGET) * _START + np.outer(x, x)
        gain = np.linalg.solve(self.information, x)
        self.weights = self.weights + gain * (seconds - float(self.weights @ x))
        self.seen += 1


class Latency:
    """Learns while it is used. On one event loop."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str | None, bool, str], _Kind] = {}
        self._factor = 0.0  # log of actual over predicted, of the newest runs
        self._late = deque([0.02], maxlen=_ENDINGS)  # newest last

    def observe(self, work: Work, tokens: int, seconds: float, load: int) -> None:
        """Something ran: so many tokens (policy and PRM), seconds, and requests beside it."""
        if tokens < 1 or not (seconds > 0.0 and math.isfinite(seconds)):
            return
        x = _figures(work, tokens, load)
        factor = self._factor
        for strategy in dict.fromkeys(("", work.strategy)):
            kind = self._kinds.setdefault((work.policy, work.prm, work.is_tree, strategy), _Kind())
            if kind.seen >= _ENOUGH:
                ratio = math.log(_measurable(seconds) / self._plain(kind, x))
                kind.spread += _NEWEST * ((ratio - factor) ** 2 - kind.spread)
                self._factor = factor + _NEWEST * (ratio - factor)  # the strategy's own comes last
            kind.learn(x, min(seconds, _LONGEST))

    def predict(self, work: Work, tokens: float, load: int) -> Seconds | None:
        """Seconds for so many tokens under so many requests.

        A kind that has hardly run is taken for the slowest of its policy's; None where all have hardly run.
        """
        if tokens <= 0.0:
            return Seconds(0.0, 0.0)
        x = _figures(work, tokens, load)
        for strategy in dict.fromkeys((work.strategy, "")):
            kind = self._kinds.get((work.policy, work.prm, work.is_tree, strategy))
            if kind is not None and kind.seen >= _ENOUGH:
                return self._seconds(kind, x)
        known = [k for (policy, *_), k in self._kinds.items() if policy == work.policy and k.seen >= _ENOUGH]
        return max((self._seconds(k, x) for k in known), key=lambda found: found.p90, default=None)

    def overran(self, seconds: float) -> None:
        """An answer was there so long after work had been told to end."""
        self._late.append(max(0.0, seconds))

    def learn(self, seen: Iterable[tuple[Work, int, float, int]]) -> None:
        """Observe what ran in the past: (work, tokens, seconds, load), oldest first."""
        for one in seen:
            self.observe(*one)
        self._factor = 0.0  # the past's load is not the present's

    def margin(self, seconds: float) -> float:
        """How long before a deadline, ``seconds`` from its request, work must be told to end.

        What 95% of the newest answers needed, but no more than a third of the time: a few that came very
        late must not leave those after them none to work in.
        """
        ranked = sorted(self._late)
        return min(ranked[int(_LATEST * len(ranked))], _LARGEST * seconds)

    def _seconds(self, kind: _Kind, x: Floats) -> Seconds:
        mean = self._plain(kind, x) * math.exp(self._factor)
        return Seconds(mean, mean * math.exp(_Z90 * math.sqrt(kind.spread)))

    @staticmethod
    def _plain(kind: _Kind, x: Floats) -> float:
        return _measurable(float(kind.weights @ x))


def _measurable(seconds: float) -> float:
    return min(max(seconds, _SHORTEST), _LONGEST)


def _figures(work: Work, tokens: float, load: int) -> Floats:
    tokens, load = min(tokens, _MOST), min(load, _MOST)
    depth = tokens / max(1, work.n) / _SCALE
    return np.array([1.0, depth, depth * load, tokens / _SCALE])
