"""What has been going on, in sums that do not grow."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from planner.server.access.exchange import Exchange
from planner.server.observing.rolling_metrics import WINDOWS, Finished, RollingMetrics, summed
from search.testing import Clock


def done(at: float, seconds: float = 0.2, outcome: str = "answered", **more: object) -> Finished:
    fields = {"policy": "p", "prm": None, "plan": "cot()", "tokens": 10, "flops": 5.0, **more}
    return Finished(at=at, outcome=outcome, seconds=seconds, **fields)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_005.0)


@pytest.fixture
def rolling(clock: Clock) -> RollingMetrics:
    return RollingMetrics(clock)


def test_quantiles_are_within_a_step_of_the_true_ones(rolling: RollingMetrics, clock: Clock) -> None:
    for number in range(1000):
        rolling.finish(done(clock.now, seconds=0.001 * (number + 1)))
    body = rolling.to_dict()["latency"]
    assert body["p50"] == pytest.approx(0.501, rel=0.03)
    assert body["p95"] == pytest.approx(0.951, rel=0.03)


def test_nothing_is_told_of_nothing(rolling: RollingMetrics) -> None:
    body = rolling.to_dict()
    assert body["latency"] == {"p50": None, "p90": None, "p95": None, "p99": None}
    assert body["promised"]["seconds"] == {"requests": 0, "kept": None}
    assert body["majority"]["ratio"] is None
    assert len(body["series"]) == 60


def test_sums_of_the_last_ten_minutes(rolling: RollingMetrics, clock: Clock) -> None:
    rolling.finish(done(clock.now, plan="majority(n=4)", prm="r"))
    clock.now += 599.0
    for late, outcome in ((0.1, "answered"), (3.0, "answered"), (0.1, "failed")):
        rolling.finish(done(clock.now, seconds=late, outcome=outcome, deadline=1.0))
    rolling.finish(done(clock.now, expected_tokens=8.0, majority=15.0))
    rolling.finish(done(clock.now, majority=1.0, never=True))  # nothing to compare it with
    body = rolling.to_dict()
    assert body["requests"]["total"] == 6
    assert body["plans"][0] == {"policy": "p", "prm": None, "plan": "cot()", "requests": 4, "share": 1.0}
    assert body["promised"]["seconds"] == {"requests": 3, "kept": pytest.approx(1 / 3)}
    assert body["promised"]["tokens"] == {"requests": 1, "promised": 8.0, "spent": 10}
    assert body["majority"] == {
        "requests": 1,
        "flops": 5.0,
        "majority_flops": 15.0,
        "ratio": pytest.approx(1 / 3),  # a third of what the vote would have cost
        "never": 1,
    }
    assert body["series"][-1]["requests"] == 5


def test_what_is_turned_away_is_counted_apart(rolling: RollingMetrics) -> None:
    for status in (401, 504):
        for is_worked_on in (False, True):  # work counts itself
            exchange = ended(rolling.began, status, "code")
            exchange.is_worked_on = is_worked_on
            rolling.exchanged(exchange)
    found = rolling.to_dict()
    assert found["requests"]["refused"] == found["requests"]["failed"] == found["requests"]["total"] == 1
    assert found["errors"] == {"requests": 1, "failed": 1, "cancelled": 0, "rate": 1.0}


def test_what_is_turned_away_on_the_way_counts_for_what_it_took(
    rolling: RollingMetrics, clock: Clock
) -> None:
    rolling.finish(done(clock.now, outcome="refused", deadline=1.0, expected_tokens=8.0, majority=15.0))
    body = rolling.to_dict()
    named = {name: body["requests"][name] for name in ("total", "answered", "refused")}
    assert named == {"total": 0, "answered": 0, "refused": 1}
    assert (body["promised"]["seconds"]["requests"], body["majority"]["requests"]) == (0, 0)
    assert (body["latency"]["p50"], body["plans"]) == (None, [])
    assert {name: body["series"][-1][name] for name in ("requests", "tokens", "flops")} == {
        "requests": 0,
        "tokens": 10,
        "flops": 5.0,
    }


def test_the_rate_is_of_the_last_ten_seconds(rolling: RollingMetrics, clock: Clock) -> None:
    clock.now += 100.0
    for _ in range(20):
        rolling.finish(done(clock.now))
    assert rolling.to_dict()["requests"]["per_second"] == pytest.approx(2.0)
    clock.now += 9.0  # four fifths of the last ten seconds are the new slice's
    assert rolling.to_dict()["requests"]["per_second"] == pytest.approx(2.0 * 0.6)
    clock.now += 20.0
    assert rolling.to_dict()["requests"]["per_second"] == 0.0


def test_memory_does_not_grow_with_the_traffic(rolling: RollingMetrics, clock: Clock) -> None:
    def serve(count: int) -> None:
        for number in range(count):
            plan = f"majority(n={number})"
            rolling.finish(done(clock.now, seconds=0.001 * (number % 5000), plan=plan, deadline=1.0))
            rolling.hear(0.5 + number / 1e9, 1.0)
            clock.now += 0.02

    serve(35_000)  # more than the window holds
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        serve(35_000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    rolling.to_dict()
    assert len(rolling.to_dict()["plans"]) == 20
    assert rolling.counts["total"] == 70_000
    assert grown < 2_500_000  # a full window, put in place of another


def ended(at: float, status: int, code: str | None, *, is_asking: bool = True) -> Exchange:
    exchange = Exchange("POST", "/v1/plan", is_asking=is_asking)
    exchange.code = code
    exchange.end(status, "/v1/plan")
    exchange.at = at
    return exchange


def test_causes_of_refusals_and_failures_are_told_over_time(rolling: RollingMetrics, clock: Clock) -> None:
    rolling.exchanged(ended(clock.now, 429, "overloaded"))
    clock.now += 100.0
    for status, code in ((429, "overloaded"), (401, "invalid_api_key"), (502, "policy_failed"), (418, None)):
        rolling.exchanged(ended(clock.now, status, code))
    rolling.exchanged(ended(clock.now, 200, None))
    rolling.exchanged(ended(clock.now, 499, "client_left"))  # nobody was refused
    rolling.exchanged(ended(clock.now, 404, "not_found", is_asking=False))
    rolling.finish(done(clock.now, outcome="cancelled", usd=0.5))
    rolling.finish(done(clock.now, usd=0.25))
    body = rolling.to_dict()
    assert body["refusals"] == [
        {"cause": "overloaded", "requests": 2},
        {"cause": "invalid_api_key", "requests": 1},
        {"cause": "418", "requests": 1},
    ]
    assert body["failures"] == [{"cause": "policy_failed", "requests": 1}]
    assert body["errors"] == {"requests": 3, "failed": 1, "cancelled": 1, "rate": pytest.approx(1 / 3)}
    assert body["spend"] == {"tokens": 20, "flops": 10.0, "usd": 0.75, "priced": 2}
    last = body["series"][-1]
    assert last["refusals"] == {"overloaded": 1, "invalid_api_key": 1, "418": 1}
    assert (last["refused"], last["failures"], last["failed"]) == (3, {"policy_failed": 1}, 1)
    assert body["series"][-11]["refused"] == 1


def test_longer_windows_hold_what_shorter_ones_have_forgotten(rolling: RollingMetrics, clock: Clock) -> None:
    rolling.finish(done(clock.now, seconds=0.5))
    clock.now += 1800.0
    rolling.finish(done(clock.now, seconds=2.0))
    found = {window: rolling.to_dict(window) for window in WINDOWS}
    assert [sum(one["requests"] for one in found[window]["series"]) for window in WINDOWS] == [1, 2, 2]
    assert found[600]["latency"]["p50"] == pytest.approx(2.0, rel=0.03)
    assert found[3600]["latency"]["p99"] == pytest.approx(2.0, rel=0.03)
    clock.now += 7200.0
    assert [rolling.to_dict(window)["errors"]["requests"] for window in WINDOWS] == [0, 0, 2]


def test_two_processes_are_told_of_as_one(clock: Clock) -> None:
    whole, first, second = (RollingMetrics(clock) for _ in range(3))
    for number in range(40):
        each = done(
            clock.now,
            seconds=0.1 + number / 10,
            plan=f"majority(n={number % 3 + 1})",
            outcome="failed" if number % 7 == 0 else "answered",
            deadline=1.0,
            majority=3.0,
            usd=0.125,
        )
        exchange = ended(clock.now, 429 if number % 2 else 503, f"c{number % 4}")
        for rolling in (whole, first if number % 2 else second):
            rolling.finish(each)
            rolling.exchanged(exchange)
            rolling.hear(0.5, float(number % 2))
        clock.now += 13.0
    for window in WINDOWS:
        told = json.loads(json.dumps([first.state(window), second.state(window)]))  # as it comes over a wire
        assert summed(told) == whole.to_dict(window)
