"""When drawing ends: never where it could change the answer, by price only where it hardly could."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.solving.events import EndReason
from planner.solving.stopping import EarlyStopping, chance_of_change, is_settled
from search.voting.votes import pick


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 6), st.integers(0, 10**6))
def test_a_settled_majority_never_changes(votes: list[int], missing: int, seed: int) -> None:
    weights = [float(votes.count(answer)) for answer in set(votes)]
    if not is_settled("majority", weights, missing):
        return
    rng = Random(seed)
    before = pick("majority", votes, [0.0] * len(votes))
    after = votes + [rng.randint(0, 5) for _ in range(missing)]
    now = pick("majority", after, [0.0] * len(after))
    assert before is not None
    assert now is not None
    assert votes[before] == after[now]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=12),
    st.integers(0, 6),
    st.data(),
)
def test_a_settled_weighted_vote_never_changes(
    votes: list[tuple[int, float]], missing: int, data: st.DataObject
) -> None:
    sums: dict[int, float] = {}
    for answer, score in votes:
        sums[answer] = sums.get(answer, 0.0) + score
    if not is_settled("weighted", list(sums.values()), missing):
        return
    more = data.draw(
        st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=missing, max_size=missing)
    )
    before = pick("weighted", [a for a, _ in votes], [s for _, s in votes])
    after = votes + more
    now = pick("weighted", [a for a, _ in after], [s for _, s in after])
    assert before is not None
    assert now is not None
    assert votes[before][0] == after[now][0]


def test_the_best_of_n_is_never_settled() -> None:
    assert not is_settled("max", [5.0], 0)
    assert EarlyStopping(1.0).ends("max", [3.0], 1, 1e9) is None


@pytest.mark.parametrize(("first", "second", "missing"), [(3, 1, 4), (9, 2, 12), (2, 2, 5)])
def test_the_chance_is_what_draws_give(first: int, second: int, missing: int) -> None:
    rng, changed, runs = Random(1), 0, 20_000
    for _ in range(runs):
        share = rng.betavariate(second + 1, first + 1)
        gained = sum(rng.random() < share for _ in range(missing))
        changed += second + gained >= first + missing - gained
    assert chance_of_change(first, second, missing) == pytest.approx(changed / runs, abs=0.015)


def test_a_price_ends_what_is_not_worth_it() -> None:
    weights = [9.0, 2.0]
    chance = chance_of_change(9.0, 2.0, 12)
    assert EarlyStopping(0.0).ends("majority", weights, 12, 1.0) is None
    assert EarlyStopping(0.9 * chance / 12).ends("majority", weights, 12, 1.0) is None
    assert EarlyStopping(1.1 * chance / 12).ends("majority", weights, 12, 1.0) == EndReason.PRICE
    assert EarlyStopping(1.0).ends("majority", weights, 6, 1.0) == EndReason.SETTLED
    assert EarlyStopping(1.0).ends("majority", weights, 0, 1.0) is None
    assert EarlyStopping(1.0).ends("majority", [], 3, 1.0) is None
