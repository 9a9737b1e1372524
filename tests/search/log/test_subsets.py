from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import LogError
from search.log.pool import Pool
from search.log.subsets import best_weights, derive, derive_all, pass_at_k, subset_members
from search.plan import Plan
from search.voting.votes import pick

MakePool = Callable[..., Pool]


def every_order(
    vote: str, group: list[int], right: list[bool], scores: list[float], n: int
) -> tuple[float, float]:
    """Expected correctness and mean reward of the rule of ``search.voting.votes`` over all ordered
    subsets."""
    correct, rewards, total = 0, [], 0
    for chosen in permutations(range(len(group)), n):
        winner = pick(vote, [group[i] for i in chosen], [scores[i] for i in chosen])
        total += 1
        if winner is not None:
            correct += right[chosen[winner]]
            rewards.append(scores[chosen[winner]])
    return correct / total, float(np.mean(rewards)) if rewards else float("nan")


# groups of equal answers are equally right; few score values make ties common
pools = st.integers(2, 6).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(-1, 3), min_size=size, max_size=size),
        st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=size, max_size=size),
        st.integers(1, size),
    )
)


def graded(group: list[int]) -> list[bool]:
    return [g in (0, 3) for g in group]


@settings(max_examples=60, deadline=None)
@given(pools)
def test_one_subset_of_all_follows_the_rules_of_votes_exactly(
    case: tuple[list[int], list[float], int],
) -> None:
    group, scores, _ = case
    right, size = graded(group), len(group)
    pool = build(group, right, scores)
    weighted, plain = derive_all(
        pool, [Plan.of("weighted_vote", n=size), Plan.of("majority", n=size)], "r", resamples=1
    )
    accuracy, reward = every_order("weighted", group, right, scores, size)
    assert weighted.accuracy == pytest.approx(accuracy)
    assert weighted.reward == pytest.approx(reward, nan_ok=True)
    assert plain.accuracy == pytest.approx(every_order("majority", group, right, [0.0] * size, size)[0])


@settings(max_examples=60, deadline=None)
@given(pools, st.randoms(use_true_random=False))
def test_best_of_n_is_exact(case: tuple[list[int], list[float], int], random: object) -> None:
    group, _, n = case
    right = graded(group)
    scores = [0.1 * (i + 1) for i in range(len(group))]
    random.shuffle(scores)  # type: ignore[attr-defined]
    pool = build(group, right, scores)
    got = derive(pool, Plan.of("best_of_n", n=n), "r")
    accuracy, reward = every_order("max", group, right, scores, n)
    assert got.accuracy == pytest.approx(accuracy)
    assert got.reward == pytest.approx(reward, nan_ok=True)


def build(group: list[int], right: list[bool], scores: list[float]) -> Pool:
    from types import MappingProxyType

    from search.log.pool import PoolScores
    from search.scores import SCORES

    size = len(group)
    marks = PoolScores({name: np.asarray(scores) for name in SCORES}, np.full(size, 3), 5)
    columns = (np.arange(size), np.asarray(group), np.asarray(right), np.full(size, 10))
    return Pool("p", "m", *columns, 7, np.zeros(size), np.zeros(size), MappingProxyType({"r": marks}))


def test_equal_scores_count_with_their_mean(make_pool: MakePool) -> None:
    pool = make_pool([0, 1, 2, 3], [True, False, False, False], [1.0, 1.0, 0.5, 0.2])
    # both best in the subset: 1/6 of the pairs, then each speaks first half of the time
    assert derive(pool, Plan.of("best_of_n", n=2), "r").accuracy == pytest.approx((0.5 + 2) / 6)
    assert derive(pool, Plan.of("best_of_n", n=4), "r").accuracy == pytest.approx(0.5)


@settings(max_examples=30, deadline=None)
@given(pools)
def test_resampled_votes_agree_with_enumeration(case: tuple[list[int], list[float], int]) -> None:
    group, scores, n = case
    right = graded(group)
    pool = build(group, right, scores)
    resamples = 2000
    got = derive_all(
        pool, [Plan.of("majority", n=n), Plan.of("weighted_vote", n=n)], "r", resamples=resamples
    )
    for derived, vote, marks in zip(got, ("majority", "weighted"), ([0.0] * len(group), scores), strict=True):
        exact, reward = every_order(vote, group, right, marks, n)
        tolerance = 1e-9 if n in (1, len(group)) else 5 * 0.5 / resamples**0.5
        assert derived.accuracy == pytest.approx(exact, abs=tolerance)
        if vote == "weighted" and not np.isnan(reward):
            assert derived.reward == pytest.approx(reward, abs=0.1)


@given(st.integers(1, 12), st.data())
def test_pass_at_k_counts_subsets(size: int, data: st.DataObject) -> None:
    right, k = data.draw(st.integers(0, size)), data.draw(st.integers(1, size))
    hits = [any(i < right for i in chosen) for chosen in combinations(range(size), k)]
    assert pass_at_k(size, right, k) == pytest.approx(float(np.mean(hits)))


@given(st.integers(1, 40), st.data())
def test_weights_of_ranks_are_a_distribution(size: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, size))
    weights = best_weights(size, n)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights[size - n + 1 :] == 0).all()


def test_subsets_are_seeded_and_of_one_size() -> None:
    members = subset_members(20, 7, 300, 1)
    assert (members.sum(axis=1) == 7).all()
    assert (members == subset_members(20, 7, 300, 1)).all()
    assert (members != subset_members(20, 7, 300, 2)).any()
    assert members.mean(axis=0) == pytest.approx(np.full(20, 0.35), abs=0.15)


@pytest.mark.parametrize(
    "plan",
    [
        "majority(n=4)",
        "majority(n=32)",
        "best_of_n(n=4)",
        "best_of_n(n=16)",
        "weighted_vote(n=16)",
        "majority(n=1)",
    ],
)
def test_the_standard_error_is_that_over_new_pools(plan: str) -> None:
    rng = np.random.default_rng(3)
    parsed = Plan.parse(plan)
    values, variances = [], []
    for _ in range(150):
        group = np.where(rng.random(64) < 0.35, 0, rng.integers(1, 6, 64))
        right = group == 0
        scores = np.clip(rng.random(64) * 0.7 + 0.15 * right, 0, 1)
        pool = build(group.tolist(), right.tolist(), scores.tolist())
        got = derive(pool, parsed, "r" if parsed.needs_prm else None)
        values.append(got.accuracy)
        variances.append(got.accuracy_se**2)
    ratio = np.mean(variances) / np.var(values, ddof=1)
    assert 0.65 < ratio < 1.6, ratio


def test_a_single_subset_has_a_wide_error_and_a_pool_of_one_mind_none(make_pool: MakePool) -> None:
    mixed = make_pool([0, 0, 1, 1, 1], [True, True, False, False, False])
    assert derive(mixed, Plan.of("majority", n=5)).accuracy_se > 0.3
    sure = make_pool([0] * 8, [True] * 8)
    assert derive(sure, Plan.of("majority", n=4)).accuracy_se == 0.0
    assert derive(sure, Plan.of("majority", n=1)).accuracy_se == pytest.approx(0.0, abs=1e-9)


def test_a_pool_without_readable_answers(make_pool: MakePool) -> None:
    pool = make_pool([-1, -1, -1], [False] * 3, [0.9, 0.8, 0.7])
    for plan in (Plan.of("majority", n=2), Plan.of("weighted_vote", n=2), Plan.of("best_of_n", n=2)):
        got = derive(pool, plan, "r")
        assert (got.accuracy, got.accuracy_se) == (0.0, 0.0)
        assert np.isnan(got.reward)


def test_what_a_pool_cannot_replay_is_refused(make_pool: MakePool) -> None:
    pool = make_pool([0, 1], [True, False])
    with pytest.raises(
        ValueError, match=r"a pool replays majority, best_of_n and weighted_vote, got beam_search"
    ):
        derive(pool, Plan.parse("beam_search(n=4)"), "r")
    with pytest.raises(ValueError, match=r"a pool replays .*, got cot\(\)"):
        derive(pool, Plan.of("cot"))
    with pytest.raises(ValueError, match="a pool holds at least n samples, got n=4 and 2 for 'p'"):
        derive(pool, Plan.of("majority", n=4))
    with pytest.raises(ValueError, match="best_of_n needs a PRM, got none"):
        derive(pool, Plan.of("best_of_n", n=2))
    with pytest.raises(LogError, match="must be scored by a PRM that is used, got 'r' for problem 'p'"):
        derive(pool, Plan.of("best_of_n", n=2), "r")
    with pytest.raises(ValueError, match="k must be from 1 to the number of samples, got k=3, samples=2"):
        pass_at_k(2, 1, 3)
