"""Rolling metrics of the last ten minutes, hour and day: requests, refusals, latencies, spends, and expected
against actual values.

Only sums per slice of time are kept, sixty slices a window, so that neither memory nor the time to tell grows
with the traffic: latencies are counted by size, in steps of 5%. Several processes of one server are told of
together: ``state`` gives the sums of one, ``summed`` what all say. Used on one event loop.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from planner.server.access.exchange import Exchange

__all__ = ["WINDOWS", "Finished", "RollingMetrics", "summed"]

#: seconds that can be told of, and the slices of each
WINDOWS, _SLICES = (600, 3600, 86400), 60
#: seconds over which requests per second are told
_NOW = 10.0
#: the newest feedbacks that are told of, and the choices that a slice tells apart
_FEEDBACKS, _CHOICES = 2_000, 200
#: the shortest latency that is told apart, in seconds, the steps from it on, and the last of them (4 hours)
_SHORTEST, _STEP, _LAST = 1e-4, math.log(1.05), 385
#: shares of the answers that were faster
_PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A request that has ended.

    ``expected_accuracy`` and ``expected_tokens`` are None where nothing was expected. ``majority`` is what a
    plain vote of equal expected accuracy would have cost in FLOPs, None where that is unknown; ``never``: no
    vote is expected to get there, so that there is nothing to compare.
    ``deadline`` in seconds from its arrival, None without one.
    ``usd``: money that it took, None where prices are not known.
    """

    at: float
    outcome: str
    policy: str
    prm: str | None
    plan: str
    seconds: float
    tokens: int
    flops: float
    usd: float | None = None
    expected_accuracy: float | None = None
    expected_tokens: float | None = None
    majority: float | None = None
    never: bool = False
    deadline: float | None = None


@dataclass(slots=True)
class _Slice:
    """Sums over the requests that ended within a slice of time."""

    requests: int = 0
    failed: int = 0
    cancelled: int = 0
    tokens: int = 0
    flops: float = 0.0
    priced: int = 0  # requests whose price is known, and what they took
    usd: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)  # code -> requests that were turned away (4xx)
    failures: Counter[str] = field(default_factory=Counter)  # code -> requests that failed (5xx)
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
        if done.usd is not None:
            self.priced += 1
            self.usd += done.usd
        if done.outcome == "refused":
            return
        self.requests += 1
        self.failed += done.outcome == "failed"
        self.cancelled += done.outcome == "cancelled"
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

    def to_dict(self) -> dict[str, Any]:
        """In JSON; ``load`` reads it."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        for name, value in found.items():
            if isinstance(value, Counter):
                found[name] = [[key, count] for key, count in value.items()]
        return found

    def load(self, said: Mapping[str, Any]) -> None:
        """Count what another slice of the same time has counted."""
        for each in fields(self):
            mine, other = getattr(self, each.name), said[each.name]
            if isinstance(mine, Counter):
                for key, count in other:
                    mine[tuple(key) if isinstance(key, list) else key] += count
            else:
                setattr(self, each.name, mine + other)


class _Ring:
    """The slices of one window."""

    def __init__(self, window: int) -> None:
        self.seconds = window / _SLICES
        self.slices: dict[int, _Slice] = {}

    def at(self, moment: float) -> _Slice:
        """The slice of a moment."""
        place = int(moment // self.seconds)
        piece = self.slices.get(place)
        if piece is None:
            piece = self.slices[place] = _Slice()
            for old in [p for p in self.slices if p <= place - _SLICES]:
                del self.slices[old]
        return piece


class RollingMetrics:
    """The last day. ``clock`` in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.began = clock()
        self.counts: Counter[str] = Counter()
        self._rings = {window: _Ring(window) for window in WINDOWS}
        self._feedback: deque[tuple[float, float]] = deque(maxlen=_FEEDBACKS)  # expected accuracy, kept

    def finish(self, done: Finished) -> None:
        """Count a request."""
        if done.outcome == "refused":
            self.refuse()
        else:
            self.counts["total"] += 1
            self.counts[done.outcome if done.outcome in ("failed", "cancelled") else "answered"] += 1
        for ring in self._rings.values():
            ring.at(done.at).add(done)

    def exchanged(self, exchange: Exchange) -> None:
        """Count why a request for an answer was refused (4xx) or failed (5xx), and that it did where no work
        for it was begun, which counts itself."""
        cause = exchange.cause
        if cause is None or not exchange.is_asking:
            return
        has_failed, is_counted = exchange.status >= 500, exchange.is_worked_on
        if not is_counted:
            self.counts.update(("total", "failed") if has_failed else ("refused",))
        for ring in self._rings.values():
            piece = ring.at(exchange.at)
            (piece.failures if has_failed else piece.refusals)[cause] += 1
            if has_failed and not is_counted:
                piece.requests += 1
                piece.failed += 1

    def refuse(self) -> None:
        """Count a request that was turned away, mostly before any work."""
        self.counts["refused"] += 1

    def hear(self, expected_accuracy: float, kept: float) -> None:
        """Count feedback on an answer with a expected accuracy; ``kept`` in [0, 1]."""
        self._feedback.append((expected_accuracy, kept))

    def state(self, window: int = WINDOWS[0]) -> dict[str, Any]:
        """The sums of a window in JSON, for ``summed``."""
        return {
            "time": self._clock(),
            "began": self.began,
            "window": window,
            "counts": dict(self.counts),
            "feedback": [list(each) for each in self._feedback],
            "slices": [[place, piece.to_dict()] for place, piece in self._rings[window].slices.items()],
        }

    def to_dict(self, window: int = WINDOWS[0]) -> dict[str, Any]:
        """Figures of a window, one of ``WINDOWS``, in JSON: as ``summed`` has them."""
        return summed([self.state(window)])


@dataclass(slots=True)
class _Sums:
    """What one or several processes have counted in a window."""

    now: float
    began: float
    window: int
    counts: Counter[str]
    feedback: list[tuple[float, float]]
    slices: dict[int, _Slice]

    @classmethod
    def of(cls, states: Sequence[Mapping[str, Any]]) -> Self:
        whole = cls(
            now=max(state["time"] for state in states),
            began=min(state["began"] for state in states),
            window=states[0]["window"],
            counts=Counter(),
            feedback=[],
            slices={},
        )
        for state in states:
            whole.counts.update(state["counts"])
            whole.feedback += [(expected, kept) for expected, kept in state["feedback"]]
            for place, said in state["slices"]:
                whole.slices.setdefault(int(place), _Slice()).load(said)
        return whole


def summed(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures in JSON of what processes have counted (``RollingMetrics.state``), all of the same window.

    ``requests``: ``total`` is the sum of ``answered``, ``failed`` (5xx, or a stream that broke off) and
    ``cancelled``; ``refused`` ones (4xx) are not among them, and only their tokens and FLOPs are told. These
    count from the start, and all that follows in the window. ``errors``: ``rate`` is the share of requests
    that failed; ``refusals`` and ``failures`` say why requests were turned away and failed before an answer
    began, by the code that their clients got. ``spend``: ``usd`` of the ``priced`` requests, whose prices are
    known. ``majority``: what answers took (``flops``) against plain votes of equal expected accuracy;
    ``ratio`` is ``flops`` over ``majority_flops``, below 1 where planning saved. Answers that no vote is
    expected to equal are in ``never`` only.
    """
    whole = _Sums.of(states)
    length = whole.window / _SLICES
    last = int(whole.now // length)
    pieces = {place: whole.slices.get(place, _EMPTY) for place in range(last - _SLICES + 1, last + 1)}
    recent = [piece for piece in pieces.values() if piece is not _EMPTY]
    return {
        "time": whole.now,
        "uptime": whole.now - whole.began,
        "window": float(whole.window),
        "windows": list(WINDOWS),
        "requests": {
            "per_second": _rate(whole, pieces[last], pieces[last - 1], length),
            **{name: whole.counts[name] for name in ("total", "answered", "failed", "cancelled", "refused")},
        },
        "series": [_told(place * length, piece) for place, piece in pieces.items()],
        "latency": _latency(recent),
        "errors": _errors(recent),
        "refusals": _causes(piece.refusals for piece in recent),
        "failures": _causes(piece.failures for piece in recent),
        "spend": {
            "tokens": sum(piece.tokens for piece in recent),
            "flops": sum(piece.flops for piece in recent),
            "usd": sum(piece.usd for piece in recent) if any(piece.priced for piece in recent) else None,
            "priced": sum(piece.priced for piece in recent),
        },
        "plans": _plans(recent),
        "promised": {
            "accuracy": _kept(whole.feedback),
            "tokens": _costs(recent),
            "seconds": _deadlines(recent),
        },
        "majority": _majority(recent),
    }


def _told(at: float, piece: _Slice) -> dict[str, Any]:
    """A slice, for a chart over time."""
    return {
        "t": at,
        "requests": piece.requests,
        "failed": piece.failed,
        "cancelled": piece.cancelled,
        "refused": piece.refusals.total(),
        "refusals": dict(piece.refusals),
        "failures": dict(piece.failures),
        "tokens": piece.tokens,
        "flops": piece.flops,
        "usd": piece.usd if piece.priced else None,
        **{name: value for name, value in _latency([piece]).items() if name != "p90"},
    }


def _rate(whole: _Sums, newest: _Slice, before: _Slice, length: float) -> float:
    """Requests per second of the last ten, or of a slice where that is longer; those of the slice before the
    last are taken for evenly spread."""
    span = max(_NOW, length)
    share = 1.0 - whole.now % length / length
    count = newest.requests + share * before.requests
    return count / min(span, max(whole.now - whole.began, 1.0))


def _kept(feedback: Sequence[tuple[float, float]]) -> dict[str, Any]:
    count = len(feedback)
    return {
        "feedbacks": count,
        "promised": sum(p for p, _ in feedback) / count if count else None,
        "kept": sum(k for _, k in feedback) / count if count else None,
    }


def _errors(recent: list[_Slice]) -> dict[str, Any]:
    requests, failed = sum(piece.requests for piece in recent), sum(piece.failed for piece in recent)
    return {
        "requests": requests,
        "failed": failed,
        "cancelled": sum(piece.cancelled for piece in recent),
        "rate": failed / requests if requests else None,
    }


def _causes(counters: Iterable[Counter[str]]) -> list[dict[str, Any]]:
    return [{"cause": cause, "requests": count} for cause, count in _added(counters).most_common()]


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
    found: dict[str, float | None] = dict.fromkeys(_PERCENTILES)
    passed = 0
    for step in sorted(counts):
        passed += counts[step]
        for name, share in _PERCENTILES.items():
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
