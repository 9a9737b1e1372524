"""Latencies are learned from what ran, follow the load, and say nothing of what is unknown."""

from __future__ import annotations

from random import Random

import pytest

from planner.latency import Latency, Work
from search.choice import Choice
from search.plan import Plan

VOTE = Work("policy", None, 4, False)


def taught(slower: float = 1.0, runs: int = 200, noise: float = 0.05) -> Latency:
    """Learned from runs of 0.05 s and a millisecond a token in depth, half as much more a request beside."""
    latency, rng = Latency(), Random(0)
    for _ in range(runs):
        n, tokens, load = rng.choice([1, 4, 16]), rng.randint(40, 2000), rng.randint(1, 4)
        seconds = slower * (0.05 + 0.001 * tokens / n * (1 + 0.5 * (load - 1)))
        work = Work("policy", None, n, False)
        latency.observe(work, tokens, seconds * rng.lognormvariate(0.0, noise), load)
    return latency


@pytest.mark.parametrize(
    ("n", "tokens", "load", "seconds"), [(4, 400, 1, 0.15), (16, 1600, 3, 0.25), (1, 500, 2, 0.8)]
)
def test_what_was_learned_is_predicted(n: int, tokens: int, load: int, seconds: float) -> None:
    found = taught().predict(Work("policy", None, n, False), tokens, load)
    assert found is not None
    assert found.mean == pytest.approx(seconds, rel=0.2)
    assert found.mean < found.p90 < 2.0 * seconds


def test_unknown_kinds_are_not_predicted() -> None:
    latency = taught()
    assert latency.predict(Work("other", None, 4, False), 100, 1) is None
    for work in (Work("policy", "prm", 4, False), Work("policy", None, 4, True)):
        assert latency.predict(work, 100, 1) == latency.predict(VOTE, 100, 1)  # for want of better
    assert latency.predict(Work("other", None, 4, False), 0, 1) is not None  # nothing takes no time
    assert Latency().predict(VOTE, 100, 1) is None


def test_the_present_load_shows_within_a_few_runs() -> None:
    latency = taught()
    before = latency.predict(VOTE, 400, 1)
    for _ in range(15):
        latency.observe(VOTE, 400, 3 * 0.15, 1)
    after = latency.predict(VOTE, 400, 1)
    assert before is not None
    assert after is not None
    assert after.mean / before.mean == pytest.approx(3.0, rel=0.4)


def test_what_cannot_be_learned_from_is_passed_over() -> None:
    latency = taught()
    before = latency.predict(VOTE, 400, 1)
    for tokens, seconds in ((0, 1.0), (10, 0.0), (10, float("nan")), (10, float("inf"))):
        latency.observe(VOTE, tokens, seconds, 1)
    assert latency.predict(VOTE, 400, 1) == before


def test_the_margin_follows_how_late_answers_are() -> None:
    latency = Latency()
    first = latency.margin(10.0)
    for _ in range(64):
        latency.overran(0.3)
    assert latency.margin(10.0) == 0.3 > first
    for _ in range(64):
        latency.overran(-1.0)
    assert latency.margin(10.0) == 0.0


def test_a_few_that_came_very_late_take_no_time_from_the_others() -> None:
    latency = Latency()
    for late in (5.0, 6.0, *[0.02] * 62):
        latency.overran(late)
    assert latency.margin(0.5) == 0.02
    for _ in range(10):
        latency.overran(5.0)
    assert latency.margin(0.6) == pytest.approx(0.2)  # and never more than a third of it
    assert latency.margin(20.0) == 5.0


def test_samples_that_are_there_are_not_drawn_again() -> None:
    assert Work.of(Choice("p", None, Plan.parse("majority(n=16)")), drawn=4) == Work("p", None, 12, False)
    assert Work.of(Choice("p", "r", Plan.parse("beam_search(n=16, width=4)")), drawn=4).n == 16
