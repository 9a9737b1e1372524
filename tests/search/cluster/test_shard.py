"""Parts of a problem set: every problem in one of them, whatever the order; groups as on one machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.campaigns.unit import groups_of
from search.cluster.shard import Shard
from search.errors import GridError
from search.problem import Problem


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{number:03}", "f", "text", f"{number}?", str(number)) for number in range(count)]


@given(
    count=st.integers(1, 60),
    group=st.integers(1, 9),
    shards=st.integers(1, 6),
    random=st.randoms(use_true_random=False),
)
def test_every_problem_is_in_one_shard_and_in_the_group_of_one_machine(
    count: int, group: int, shards: int, random: object
) -> None:
    every = problems(count)
    whole = groups_of(every, group)
    shards = min(shards, len(whole))
    found = []
    for number in range(1, shards + 1):
        random.shuffle(every)  # type: ignore[attr-defined]
        found += groups_of(Shard(number, shards).of(every, group), group)
    assert sorted(found, key=lambda one: one[0].problem_id) == whole


def test_a_shard_keeps_the_order_of_the_problems() -> None:
    every = problems(8)[::-1]
    mine = Shard(1, 2).of(every, 2)
    assert [problem.problem_id for problem in mine] == ["p005", "p004", "p001", "p000"]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/0", "1", "a/b", "", "1/2/3", "-1/2", "1.0/2", "½/2"])
def test_what_is_no_shard_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(GridError, match=r"a shard must be i/n with i from 1 to n, got ") as caught:
        Shard.parse(text)
    assert "\n" not in str(caught.value)


def test_more_shards_than_groups_are_refused_for_all_of_them() -> None:
    with pytest.raises(GridError, match=r"got 3 shards of 2 groups \(8 problems, group = 4\)"):
        Shard(1, 3).of(problems(8), 4)
