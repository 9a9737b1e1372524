"""What has been going on: requests, spends, promises and what came of them, over the last minutes.

Memory is bounded: counts per slice of time, and the newest requests one by one. Used on one event loop.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Finished", "Window"]

#: seconds that are told of, and of one slice of the series
_SECONDS, _SLICE = 600.0, 10.0
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that has ended.

    ``promised`` (accuracy) and ``expected`` (tokens) are None where nothing was promised. ``majority`` is
    what a plain vote of equal expected accuracy would have cost in FLOPs, None where that is unknown;
    ``never``: no vote is expected to get there, and ``majority`` is the largest one's.
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
    promised: float | None = None
    expected: float | None = None
    majority: float | None = None
    never: bool = False
    deadline: float | None = None


@dataclass(slots=True)
class _Slice:
    requests: int = 0
    tokens: int = 0
    flops: float = 0.0


class Window:
    """The last ten minutes. ``clock`` in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.began = clock()
        self.counts: Counter[str] = Counter()
        self._finished: deque[Finished] = deque(maxlen=_MOST)
        self._slices: dict[int, _Slice] = {}
        self._told: deque[tuple[float, float]] = deque(maxlen=_MOST)  # promised, kept

    def finish(self, done: Finished) -> None:
        """Count a request."""
        self.counts["total"] += 1
        self.counts[done.outcome if done.outcome in ("failed", "cancelled") else "answered"] += 1
        self._finished.append(done)
        place = int(done.at // _SLICE)
        piece = self._slices.setdefault(place, _Slice())
        piece.requests += 1
        piece.tokens += done.tokens
        piece.flops += done.flops
        for old in [p for p in self._slices if p < place - _SECONDS / _SLICE]:
            del self._slices[old]

    def refuse(self) -> None:
        """Count a request that was refused."""
        self.counts["refused"] += 1

    def hear(self, promised: float, kept: float) -> None:
        """Count feedback on an answer with a promised accuracy; ``kept`` in [0, 1]."""
        self._told.append((promised, kept))

    def told(self) -> dict[str, Any]:
        """Figures in JSON."""
        now = self._clock()
        recent = [done for done in self._finished if done.at > now - _SECONDS]
        answered = [done for done in recent if done.outcome not in ("failed", "cancelled")]
        return {
            "time": now,
            "uptime": now - self.began,
            "window": _SECONDS,
            "requests": {
                "per_second": sum(done.at > now - _SLICE for done in recent)
                / min(_SLICE, max(now - self.began, 1.0)),
                **{
                    name: self.counts[name]
                    for name in ("total", "answered", "failed", "cancelled", "refused")
                },
            },
            "series": self._series(now),
            "latency": _latency([done.seconds for done in answered]),
            "plans": _plans(answered),
            "promised": {
                "accuracy": self._kept(),
                "tokens": _costs(answered),
                "seconds": _deadlines(recent),
            },
            "majority": _majority(answered),
        }

    def _series(self, now: float) -> list[dict[str, Any]]:
        last = int(now // _SLICE)
        return [
            {"t": place * _SLICE, "requests": piece.requests, "tokens": piece.tokens, "flops": piece.flops}
            for place in range(last - int(_SECONDS / _SLICE) + 1, last + 1)
            for piece in (self._slices.get(place, _EMPTY),)
        ]

    def _kept(self) -> dict[str, Any]:
        count = len(self._told)
        return {
            "feedbacks": count,
            "promised": sum(p for p, _ in self._told) / count if count else None,
            "kept": sum(k for _, k in self._told) / count if count else None,
        }


_EMPTY = _Slice()


def _latency(seconds: list[float]) -> dict[str, float | None]:
    ranked = sorted(seconds)
    if not ranked:
        return {"p50": None, "p95": None}
    return {f"p{p}": ranked[min(len(ranked) - 1, len(ranked) * p // 100)] for p in (50, 95)}


def _plans(answered: list[Finished]) -> list[dict[str, Any]]:
    counts = Counter((done.policy, done.prm, done.plan) for done in answered)
    return [
        {"policy": policy, "prm": prm, "plan": plan, "requests": count, "share": count / len(answered)}
        for (policy, prm, plan), count in counts.most_common(20)
    ]


def _costs(answered: list[Finished]) -> dict[str, Any]:
    promised = [(done.expected, done.tokens) for done in answered if done.expected is not None]
    return {
        "requests": len(promised),
        "promised": sum(expected for expected, _ in promised) if promised else None,
        "spent": sum(tokens for _, tokens in promised) if promised else None,
    }


def _deadlines(recent: list[Finished]) -> dict[str, Any]:
    timed = [(done.seconds, done.deadline) for done in recent if done.deadline is not None]
    return {
        "requests": len(timed),
        "kept": sum(seconds <= deadline for seconds, deadline in timed) / len(timed) if timed else None,
    }


def _majority(answered: list[Finished]) -> dict[str, Any]:
    compared = [(done.flops, done.majority, done.never) for done in answered if done.majority is not None]
    spent, voting = sum(f for f, _, _ in compared), sum(m for _, m, _ in compared)
    return {
        "requests": len(compared),
        "flops": spent,
        "majority_flops": voting,
        "ratio": voting / spent if spent > 0 else None,
        "never": sum(never for *_, never in compared),
    }
