from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.log.continuation import continuation_values
from search.log.pool import Pool, PoolScores
from search.plan import Plan
from search.scores import SCORES
from search.voting.votes import pick

MakePool = Callable[..., Pool]


def build(group: list[int], right: list[bool], scores: list[float]) -> Pool:
    size = len(group)
    marks = PoolScores({name: np.asarray(scores) for name in SCORES}, np.full(size, 3), 5)
    columns = (np.arange(size), np.asarray(group), np.asarray(right), np.full(size, 10))
    return Pool("p", "m", *columns, 7, np.zeros(size), np.zeros(size), MappingProxyType({"r": marks}))


def exact(vote: str, pool: Pool, probe: list[int], n: int, scores: list[float]) -> float:
    rest = [i for i in range(len(pool)) if i not in probe]
    outcomes = []
    for more in permutations(rest, max(0, n - len(probe))):
        union = [*probe, *more]
        winner = pick(vote, [int(pool.group[i]) for i in union], [scores[i] for i in union])
        outcomes.append(winner is not None and bool(pool.correct[union[winner]]))
    return float(np.mean(outcomes))


cases = st.integers(3, 6).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(-1, 3), min_size=size, max_size=size),
        st.permutations([0.1, 0.25, 0.3, 0.5, 0.75, 1.0]).map(lambda values: values[:size]),
        st.permutations(range(size)).flatmap(lambda order: st.integers(0, 3).map(lambda k: order[:k])),
        st.integers(1, size),
    )
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_values_agree_with_enumeration(case: tuple[list[int], list[float], list[int], int]) -> None:
    group, scores, probe, n = case
    pool = build(group, [g in (0, 3) for g in group], scores)
    plans = [Plan.of("best_of_n", n=n), Plan.of("majority", n=n), Plan.of("weighted_vote", n=n)]
    rng = np.random.default_rng(0)
    best, majority, weighted = continuation_values(pool, probe, plans, rng, 1500, prm="r")
    assert best == pytest.approx(exact("max", pool, probe, n, scores))
    sure = n <= len(probe) or n == len(pool)
    tolerance = 1e-9 if sure and probe else 5 * 0.5 / 1500**0.5
    assert majority == pytest.approx(exact("majority", pool, probe, n, [0.0] * len(group)), abs=tolerance)
    assert weighted == pytest.approx(exact("weighted", pool, probe, n, scores), abs=tolerance)


def test_a_probe_that_is_enough_decides_alone(make_pool: MakePool) -> None:
    pool = make_pool([0, 1, 1, 0, 0], [True, False, False, True, True], [0.9, 0.1, 0.1, 0.9, 0.9])
    plans = [Plan.of("majority", n=1), Plan.of("majority", n=3), Plan.of("best_of_n", n=3)]
    values = continuation_values(pool, [0, 1, 2], plans, np.random.default_rng(0), prm="r")
    assert values.tolist() == [0.0, 0.0, 1.0]


def test_ties_go_to_the_probe_in_its_order(make_pool: MakePool) -> None:
    pool = make_pool([0, 1, 1, 0], [True, False, False, True])
    rng = np.random.default_rng(0)
    assert continuation_values(pool, [0, 1], [Plan.of("majority", n=4)], rng).tolist() == [1.0]
    assert continuation_values(pool, [1, 0], [Plan.of("majority", n=4)], rng).tolist() == [0.0]
    even = make_pool([0, 1], [True, False], [0.5, 0.5])
    assert continuation_values(even, [1], [Plan.of("best_of_n", n=2)], rng, prm="r").tolist() == [0.0]


def test_bad_requests(make_pool: MakePool) -> None:
    pool = make_pool([0, 1, 1], [True, False, False], [0.1, 0.2, 0.3])
    rng = np.random.default_rng(0)
    for probe in ([0, 0], [3], [-1]):
        with pytest.raises(ValueError, match="probe indices are different places of a pool of 3, got"):
            continuation_values(pool, probe, [Plan.of("majority", n=2)], rng)
    with pytest.raises(ValueError, match="got n=4 and a pool of 3"):
        continuation_values(pool, [0], [Plan.of("majority", n=4)], rng)
    with pytest.raises(ValueError, match="best_of_n needs a PRM, got none"):
        continuation_values(pool, [0], [Plan.of("best_of_n", n=2)], rng)
    with pytest.raises(ValueError, match="a pool replays"):
        continuation_values(pool, [0], [Plan.of("dvts", n=4)], rng, prm="r")
