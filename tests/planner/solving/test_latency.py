"""Latencies are learned from what ran, follow the load, and say nothing of what is unknown."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.solving.latency import Latency, Work
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


@pytest.mark.parametrize(
    ("ns", "loads"),
    [([1, 4, 16], [1]), ([1, 4, 16], [32]), ([4], [1]), ([4], range(1, 33)), ([4], [32])],
    ids=["load 1", "load 32", "n=4, load 1", "n=4", "n=4, load 32"],
)
def test_traffic_that_never_changes_can_go_on_for_ever(ns: list[int], loads: list[int]) -> None:
    """The figures are collinear: nothing tells the constant part of a load from the tokens'."""
    latency, rng = Latency(), Random(0)

    def truth(n: int, tokens: int, load: int) -> float:
        return 0.05 + 0.001 * tokens / n * (1 + 0.5 * (load - 1)) + 2e-5 * tokens

    def run(runs: int, slower: float = 1.0) -> None:
        for _ in range(runs):
            n, load = rng.choice(ns), rng.choice(loads)
            tokens = n * rng.randint(40, 1000)
            seconds = slower * truth(n, tokens, load) * rng.lognormvariate(0.0, 0.05)
            latency.observe(Work("policy", None, n, False), tokens, seconds, load)

    def ratios() -> list[float]:
        found = []
        for n in ns:
            for load in (loads[0], loads[-1]):
                for tokens in (100 * n, 1000 * n):
                    seconds = latency.predict(Work("policy", None, n, False), tokens, load)
                    assert seconds is not None
                    found.append(seconds.mean / truth(n, tokens, load))
        return found

    run(20_000)
    assert ratios() == pytest.approx(np.ones(len(ratios())), rel=0.1)
    run(30, slower=2.0)
    assert ratios() == pytest.approx(2.0 * np.ones(len(ratios())), rel=0.35)
    run(500, slower=2.0)
    assert ratios() == pytest.approx(2.0 * np.ones(len(ratios())), rel=0.1)


ANY = st.tuples(
    st.integers(1, 2**63),
    st.integers(0, 10**320),
    st.floats(0.0, allow_infinity=False),
    st.integers(0, 10**320),
)


@given(seen=st.lists(st.lists(ANY, min_size=1, max_size=3), max_size=12), asked=ANY)
def test_nothing_that_ran_raises(
    seen: list[list[tuple[int, int, float, int]]], asked: tuple[int, int, float, int]
) -> None:
    latency = Latency()
    for runs in seen:
        for _ in range(4):
            latency.learn([(Work("policy", None, n, False), *rest) for n, *rest in runs[:1]])  # type: ignore[misc]
            for n, tokens, seconds, load in runs:
                latency.observe(Work("policy", None, n, False), tokens, seconds, load)
    n, tokens, _, load = asked
    found = latency.predict(Work("policy", None, n, False), tokens, load)
    assert found is None or 0.0 <= found.mean <= found.p90 < float("inf")


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


def test_a_strategy_that_must_run_has_seconds_of_its_own_once_it_has_run() -> None:
    """Rounds follow one another and programs wait for the jail: tokens alone do not tell their seconds."""
    latency = Latency()
    tree = Work.of(Choice("policy", "r", Plan.parse("beam_search(n=4, width=4)")))
    rounds = Work.of(Choice("policy", None, Plan.parse("refine(rounds=2)")))
    program = Work.of(Choice("policy", None, Plan.parse("program(n=4)")))
    for tokens in range(100, 1100, 100):
        latency.observe(rounds, tokens, 0.010 * tokens, 1)
    first = latency.predict(program, 400, 1)
    assert first is not None  # as any plan of this policy that must be run
    for tokens in range(100, 1100, 100):
        latency.observe(program, tokens, 3.0 + 0.001 * tokens, 1)
    of_rounds, of_programs = latency.predict(rounds, 400, 1), latency.predict(program, 400, 1)
    assert of_rounds is not None
    assert of_programs is not None
    assert of_programs.mean == pytest.approx(3.4, rel=0.2)
    assert of_rounds.mean == pytest.approx(4.0, rel=0.2)
    assert latency.predict(tree, 400, 1) is not None


def test_a_plan_that_thinks_is_not_a_search_over_steps() -> None:
    told = Work.of(Choice("p", None, Plan.parse("majority(n=4, think=64)")), drawn=2)
    assert told == Work("p", None, 4, True, "majority")
