"""Rolling metrics of the last minutes: requests, spends, and expected against actual values.

Only sums per slice of time are kept, so that neither memory nor the time to tell grows with the traffic:
latencies are counted by size, in steps of 5%. Used on one event loop.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from search.errors import PlannerError

__all__ = ["Finished", "RollingMetrics"]

#: seconds of a slice, and slices that are told of
_SLICE, _SLICES = 10.0, 60
#: the newest feedbacks that are told of, and the choices that a slice tells apart
_FEEDBACKS, _CHOICES = 2_000, 200
#: the shortest latency that is told apart, in seconds, the steps from it on, and the last of them (4 hours)
_SHORTEST, _STEP, _LAST = 1e-4, math.log(1.05), 385


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A request that has ended.

    ``expected_accuracy`` and ``expected_tokens`` are None where nothing was expected. ``majority`` is what a
    plain vote of equal expected accuracy would have cost in FLOPs, None where that is unknown; ``never``: no
    vote is expected to get there, so that there is nothing to compare.
    ``deadline`` in seconds from its arrival, None without one.
    """

    at: float
    outcome: str
    policy: str
    prm: str | None
    plan: str
    seconds: float
    tokens: int
    flops: float
    expected_accuracy: float | None = None
    expected_tokens: float | None = None
    majority: float | None = None
    never: bool = False
    deadline: float | None = None


@dataclass(slots=True)
class _Slice:
    """Sums over the requests that ended within ten seconds."""

    requests: int = 0
    tokens: int = 0
    flops: float = 0.0
    latencies: Counter[int] = field(default_factory=Counter)  # step -> answered
    choices: Counter[tuple[str, str | None, str]] = field(default_factory=Counter)  # of what was answered
    predicted: int = 0  # answers with an expected number of tokens; their sum, and what they took
    predicted_tokens: float = 0.0
    spent_tokens: int = 0
    timed: int = 0  # requests with a deadline, and those that kept it
    in_time: int = 0
    compared: int = 0  # answers that are compared with a vote; what they and the votes cost
    compared_flops: float = 0.0
    majority_flops: float = 0.0
    never: int = 0

    def add(self, done: Finished) -> None:
        """Count a request; of one that was refused on the way only what it took."""
        self.tokens += done.tokens
        self.flops += done.flops
        if done.outcome == "refused":
            return
        self.requests += 1
        answered = done.outcome not in ("failed", "cancelled")
        if done.deadline is not None:
            self.timed += 1
            self.in_time += answered and done.seconds <= done.deadline
        if not answered:
            return
        self.latencies[_step(done.seconds)] += 1
        choice = done.policy, done.prm, done.plan
        if choice in self.choices or len(self.choices) < _CHOICES:
            self.choices[choice] += 1
        if done.expected_tokens is not None:
            self.predicted += 1
            self.predicted_tokens += done.expected_tokens
            self.spent_tokens += done.tokens
        if done.never:
            self.never += 1
        elif done.majority is not None:
            self.compared += 1
            self.compared_flops += done.flops
            self.majority_flops += done.majority


class RollingMetrics:
    """The last ten minutes. ``clock`` in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.began = clock()
        self.counts: Counter[str] = Counter()
        self._slices: dict[int, _Slice] = {}
        self._feedback: deque[tuple[float, float]] = deque(maxlen=_FEEDBACKS)  # expected accuracy, kept

    def finish(self, done: Finished) -> None:
        """Count a request."""
        if done.outcome == "refused":
            self.refuse()
        else:
            self.counts["total"] += 1
            self.counts[done.outcome if done.outcome in ("failed", "cancelled") else "answered"] += 1
        place = int(done.at // _SLICE)
        piece = self._slices.get(place)
        if piece is None:
            piece = self._slices[place] = _Slice()
            for old in [p for p in self._slices if p <= place - _SLICES]:
                del self._slices[old]
        piece.add(done)

    def refuse(self) -> None:
        """Count a request that was turned away, mostly before any work."""
        self.counts["refused"] += 1

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Count a request that an error of ours turns away inside: a key, a rate, a wrong field."""
        try:
            yield
        except PlannerError:
            self.refuse()
            raise

    def hear(self, expected_accuracy: float, kept: float) -> None:
        """Count feedback on an answer with a expected accuracy; ``kept`` in [0, 1]."""
        self._feedback.append((expected_accuracy, kept))

    def to_dict(self) -> dict[str, Any]:
        """Figures in JSON.

        ``requests``: ``total`` is the sum of ``answered``, ``failed`` and ``cancelled``; ``refused`` ones
        were turned away, and only their tokens and FLOPs are told. ``majority``: what answers took
        (``flops``) against plain votes of equal expected accuracy; ``ratio`` is ``flops`` over
        ``majority_flops``, below 1 where planning saved. Answers that no vote is expected to equal are in
        ``never`` only.
        """
        now = self._clock()
        last = int(now // _SLICE)
        pieces = {place: self._slices.get(place, _EMPTY) for place in range(last - _SLICES + 1, last + 1)}
        recent = [piece for piece in pieces.values() if piece.requests]
        return {
            "time": now,
            "uptime": now - self.began,
            "window": _SLICE * _SLICES,
            "requests": {
                "per_second": self._rate(now, pieces[last], pieces[last - 1]),
                **{
                    name: self.counts[name]
                    for name in ("total", "answered", "failed", "cancelled", "refused")
                },
            },
            "series": [
                {
                    "t": place * _SLICE,
                    "requests": piece.requests,
                    "tokens": piece.tokens,
                    "flops": piece.flops,
                }
                for place, piece in pieces.items()
            ],
            "latency": _latency(recent),
            "plans": _plans(recent),
            "promised": {
                "accuracy": self._kept(),
                "tokens": _costs(recent),
                "seconds": _deadlines(recent),
            },
            "majority": _majority(recent),
        }

    def _rate(self, now: float, newest: _Slice, before: _Slice) -> float:
        """Requests per second of the last ten, those of the slice before taken for evenly spread."""
        share = 1.0 - now % _SLICE / _SLICE
        count = newest.requests + share * before.requests
        return count / min(_SLICE, max(now - self.began, 1.0))

    def _kept(self) -> dict[str, Any]:
        count = len(self._feedback)
        return {
            "feedbacks": count,
            "promised": sum(p for p, _ in self._feedback) / count if count else None,
            "kept": sum(k for _, k in self._feedback) / count if count else None,
        }


_EMPTY = _Slice()


def _step(seconds: float) -> int:
    return min(_LAST, max(0, round(math.log(max(seconds, _SHORTEST) / _SHORTEST) / _STEP)))


def _added(counters: Iterable[Mapping[Any, int]]) -> Counter[Any]:
    whole: Counter[Any] = Counter()
    for counter in counters:
        whole.update(counter)
    return whole


def _latency(recent: list[_Slice]) -> dict[str, float | None]:
    counts = _added(piece.latencies for piece in recent)
    total = counts.total()
    found: dict[str, float | None] = {"p50": None, "p95": None}
    passed = 0
    for step in sorted(counts):
        passed += counts[step]
        for name, share in (("p50", 0.50), ("p95", 0.95)):
            if found[name] is None and passed > min(total - 1, int(total * share)):
                found[name] = _SHORTEST * math.exp(step * _STEP)
    return found


def _plans(recent: list[_Slice]) -> list[dict[str, Any]]:
    counts = _added(piece.choices for piece in recent)
    answered = sum(piece.latencies.total() for piece in recent)
    return [
        {"policy": policy, "prm": prm, "plan": plan, "requests": count, "share": count / answered}
        for (policy, prm, plan), count in counts.most_common(20)
    ]


def _costs(recent: list[_Slice]) -> dict[str, Any]:
    count = sum(piece.predicted for piece in recent)
    return {
        "requests": count,
        "promised": sum(piece.predicted_tokens for piece in recent) if count else None,
        "spent": sum(piece.spent_tokens for piece in recent) if count else None,
    }


def _deadlines(recent: list[_Slice]) -> dict[str, Any]:
    count = sum(piece.timed for piece in recent)
    return {
        "requests": count,
        "kept": sum(piece.in_time for piece in recent) / count if count else None,
    }


def _majority(recent: list[_Slice]) -> dict[str, Any]:
    spent = sum(piece.compared_flops for piece in recent)
    voting = sum(piece.majority_flops for piece in recent)
    return {
        "requests": sum(piece.compared for piece in recent),
        "flops": spent,
        "majority_flops": voting,
        "ratio": spent / voting if voting > 0 else None,
        "never": sum(piece.never for piece in recent),
    }
