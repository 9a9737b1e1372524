"""What has been going on, in sums that do not grow."""

from __future__ import annotations

import tracemalloc

import pytest

from planner.server.refusal import Refusal
from planner.server.window import Finished, Window


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000_005.0

    def __call__(self) -> float:
        return self.now


def done(at: float, seconds: float = 0.2, outcome: str = "answered", **more: object) -> Finished:
    fields = {"policy": "p", "prm": None, "plan": "cot()", "tokens": 10, "flops": 5.0, **more}
    return Finished(at=at, outcome=outcome, seconds=seconds, **fields)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def window(clock: Clock) -> Window:
    return Window(clock)


def test_quantiles_are_within_a_step_of_the_true_ones(window: Window, clock: Clock) -> None:
    for number in range(1000):
        window.finish(done(clock.now, seconds=0.001 * (number + 1)))
    told = window.told()["latency"]
    assert told["p50"] == pytest.approx(0.501, rel=0.03)
    assert told["p95"] == pytest.approx(0.951, rel=0.03)


def test_nothing_is_told_of_nothing(window: Window) -> None:
    told = window.told()
    assert told["latency"] == {"p50": None, "p95": None}
    assert told["promised"]["seconds"] == {"requests": 0, "kept": None}
    assert told["majority"]["ratio"] is None
    assert len(told["series"]) == 60


def test_sums_of_the_last_ten_minutes(window: Window, clock: Clock) -> None:
    window.finish(done(clock.now, plan="majority(n=4)", prm="r"))
    clock.now += 599.0
    for late, outcome in ((0.1, "answered"), (3.0, "answered"), (0.1, "failed")):
        window.finish(done(clock.now, seconds=late, outcome=outcome, deadline=1.0))
    window.finish(done(clock.now, expected=8.0, majority=15.0))
    window.finish(done(clock.now, majority=1.0, never=True))  # nothing to compare it with
    told = window.told()
    assert told["requests"]["total"] == 6
    assert told["plans"][0] == {"policy": "p", "prm": None, "plan": "cot()", "requests": 4, "share": 1.0}
    assert told["promised"]["seconds"] == {"requests": 3, "kept": pytest.approx(1 / 3)}
    assert told["promised"]["tokens"] == {"requests": 1, "promised": 8.0, "spent": 10}
    assert told["majority"] == {
        "requests": 1,
        "flops": 5.0,
        "majority_flops": 15.0,
        "ratio": pytest.approx(1 / 3),  # a third of what the vote would have cost
        "never": 1,
    }
    assert told["series"][-1]["requests"] == 5


def test_what_is_turned_away_is_counted_apart(window: Window) -> None:
    with pytest.raises(Refusal), window.refusing():
        raise Refusal("a key is known, got none", 401)
    with window.refusing():
        pass
    assert (window.counts["refused"], window.counts["total"]) == (1, 0)


def test_what_is_turned_away_on_the_way_counts_for_what_it_took(window: Window, clock: Clock) -> None:
    window.finish(done(clock.now, outcome="refused", deadline=1.0, expected=8.0, majority=15.0))
    told = window.told()
    named = {name: told["requests"][name] for name in ("total", "answered", "refused")}
    assert named == {"total": 0, "answered": 0, "refused": 1}
    assert (told["promised"]["seconds"]["requests"], told["majority"]["requests"]) == (0, 0)
    assert (told["latency"]["p50"], told["plans"]) == (None, [])
    assert {name: told["series"][-1][name] for name in ("requests", "tokens", "flops")} == {
        "requests": 0,
        "tokens": 10,
        "flops": 5.0,
    }


def test_the_rate_is_of_the_last_ten_seconds(window: Window, clock: Clock) -> None:
    clock.now += 100.0
    for _ in range(20):
        window.finish(done(clock.now))
    assert window.told()["requests"]["per_second"] == pytest.approx(2.0)
    clock.now += 9.0  # four fifths of the last ten seconds are the new slice's
    assert window.told()["requests"]["per_second"] == pytest.approx(2.0 * 0.6)
    clock.now += 20.0
    assert window.told()["requests"]["per_second"] == 0.0


def test_memory_does_not_grow_with_the_traffic(window: Window, clock: Clock) -> None:
    def serve(count: int) -> None:
        for number in range(count):
            plan = f"majority(n={number})"
            window.finish(done(clock.now, seconds=0.001 * (number % 5000), plan=plan, deadline=1.0))
            window.hear(0.5 + number / 1e9, 1.0)
            clock.now += 0.02

    serve(35_000)  # more than the window holds
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        serve(35_000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    window.told()
    assert len(window.told()["plans"]) == 20
    assert window.counts["total"] == 70_000
    assert grown < 2_500_000  # a full window, put in place of another
