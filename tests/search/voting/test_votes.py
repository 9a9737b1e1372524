"""Votes by hand: groups, ties, unreadable answers, and no dependence on the order of sums."""

from __future__ import annotations

import math
import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.grading.protocol import Domain
from search.grading.registry import DOMAINS, domain
from search.grading.text import TextDomain
from search.problem import Problem
from search.voting.votes import VOTES, group, pick, race

PROBLEM = Problem("p", "f", "text", "?")


class Near(Domain):
    """Numbers are equal within 1: not transitive. Counts how often it is asked."""

    name = "near"

    def __init__(self) -> None:
        self.asked = 0

    def read(self, problem: Problem, text: str) -> str | None:
        return text

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        self.asked += 1
        return abs(float(first) - float(second)) <= 1

    def grade(self, problem: Problem, answer: str | None) -> bool:
        return False

    def claims(self, question: str) -> bool:
        return False


def test_group_numbers_follow_first_appearance() -> None:
    assert group(PROBLEM, TextDomain(), ["b", None, "a", "B ", "a", None]) == [0, -1, 1, 0, 1, -1]


def test_the_earliest_answer_stands_for_its_group() -> None:
    assert group(PROBLEM, Near(), ["1", "2", "3", "1.5", "2.2"]) == [0, 0, 1, 0, 1]


def test_groups_go_on_from_those_that_there_are() -> None:
    answers = ["1", "3", None, "1.5", "2.2", "9", "8.5"]
    near, whole = Near(), group(PROBLEM, Near(), answers)
    assert group(PROBLEM, near, answers[3:], known=("1", "3")) == whole[3:] == [0, 1, 2, 2]
    asked = near.asked
    assert group(PROBLEM, near, ["1", "3"], known=("1", "3")) == [0, 1]
    assert near.asked == asked  # those that there are stay apart


def test_equal_texts_are_not_compared_again() -> None:
    domain = Near()
    assert group(PROBLEM, domain, ["1", "5"] * 500) == [0, 1] * 500
    assert domain.asked == 1


@pytest.mark.parametrize(
    ("vote", "groups", "scores", "chosen"),
    [
        ("majority", [0, 1, 1], [0.9, 0.1, 0.2], 2),  # the largest group, its best speaks
        ("majority", [0, 1, 0, 1], [0.2, 0.3, 0.4, 0.1], 2),  # tie: the higher reward
        ("majority", [0, 1, 0, 1], [0.0, 0.0, 0.0, 0.0], 0),  # tie again: the earlier draw
        ("majority", [0, 1], [0.5, 0.5], 0),
        ("majority", [-1, -1, 0], [1.0, 1.0, 0.0], 2),  # the unreadable have no vote
        ("max", [0, 1, 2], [0.1, 0.9, 0.9], 1),
        ("max", [-1, 0], [1.0, 0.0], 1),
        ("weighted", [0, 1, 1], [0.5, 0.3, 0.3], 1),
        ("weighted", [0, 1, 1], [0.7, 0.3, 0.3], 0),
        ("weighted", [0, 1, 1], [0.5, 0.25, 0.25], 0),  # tie of sums: the higher single score
        ("weighted", [0, 1], [0.0, 0.0], 0),
    ],
)
def test_votes_by_hand(vote: str, groups: list[int], scores: list[float], chosen: int) -> None:
    assert pick(vote, groups, scores) == chosen


@pytest.mark.parametrize("vote", VOTES)
def test_without_a_readable_answer_there_is_no_choice(vote: str) -> None:
    assert pick(vote, [-1, -1], [0.5, 0.6]) is None
    assert pick(vote, [], []) is None


def test_bad_arguments_say_the_rule_and_the_value() -> None:
    with pytest.raises(ValueError, match="vote must be one of max, majority, weighted, got 'best'"):
        pick("best", [0], [0.0])
    with pytest.raises(ValueError, match="every candidate needs a score, got 2 candidates, 1 scores"):
        pick("max", [0, 1], [0.0])
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"a score must be a finite number, got {bad} for candidate 1"):
            pick("max", [0, -1], [0.0, bad])


candidates = st.lists(st.tuples(st.integers(-1, 3), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.7])), max_size=12)


@given(st.sampled_from(VOTES), candidates)
def test_the_choice_is_readable_and_speaks_for_its_group(vote: str, drawn: list[tuple[int, float]]) -> None:
    groups, scores = [g for g, _ in drawn], [s for _, s in drawn]
    chosen = pick(vote, groups, scores)
    if chosen is None:
        assert all(g == -1 for g in groups)
    else:
        assert groups[chosen] >= 0
        assert scores[chosen] == max(s for g, s in drawn if g == groups[chosen])


@given(st.sampled_from(VOTES), candidates, st.randoms(use_true_random=False))
def test_names_of_groups_do_not_matter(vote: str, drawn: list[tuple[int, float]], rng: random.Random) -> None:
    names = rng.sample(range(50), 4)
    groups, scores = [g for g, _ in drawn], [s for _, s in drawn]
    assert pick(vote, groups, scores) == pick(vote, [-1 if g < 0 else names[g] for g in groups], scores)


@given(candidates, st.randoms(use_true_random=False))
def test_order_matters_only_between_exact_ties(drawn: list[tuple[int, float]], rng: random.Random) -> None:
    sums = {g: math.fsum(s for h, s in drawn if h == g) for g, _ in drawn if g >= 0}
    heaviest = [g for g in sums if sums[g] == max(sums.values())]
    shuffled = rng.sample(drawn, len(drawn))
    chosen = pick("weighted", [g for g, _ in shuffled], [s for _, s in shuffled])
    assert chosen is None if not heaviest else shuffled[chosen or 0][0] in heaviest


@given(st.sampled_from([name for name in DOMAINS if domain(name).exact]), st.text(), st.text())
def test_exact_domains_compare_texts(name: str, one: str, other: str) -> None:
    problem = Problem("p", "f", name, "reach 3 from 1, 2", "3")
    assert domain(name).equal(problem, one, one)
    assert domain(name).equal(problem, one, other) == (one == other)
    assert group(problem, domain(name), [one, other, None, one]) == [0, int(one != other), -1, 0]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(-2, 3), st.sampled_from([0.5, 1.0, 2.25])), min_size=6, max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_a_race_tells_the_two_leaders_after_each_draw(
    rows: list[list[tuple[int, float]]], weighted: bool
) -> None:
    codes = np.array([[code for code, _ in row] for row in rows])
    weights = np.array([[value for _, value in row] for row in rows])
    leads, first, second = race(codes, weights if weighted else None)
    for row, place in product(range(len(rows)), range(6)):
        votes: dict[int, float] = {}
        for code, weight in rows[row][: place + 1]:
            if code >= 0:
                votes[code] = votes.get(code, 0.0) + (weight if weighted else 1.0)
        ranked = sorted(votes.values(), reverse=True)
        assert [first[row, place], second[row, place]] == [*ranked, 0.0, 0.0][:2]
        # the dictionary is in the order in which answers had their first vote
        earliest = next((code for code, held in votes.items() if held == ranked[0]), None)
        assert leads[row, place] == earliest if earliest is not None else leads[row, place] < 0


def test_rows_race_alone() -> None:
    rng = np.random.default_rng(0)
    codes, weights = rng.integers(-1, 4, (9000, 5)), rng.integers(0, 3, (9000, 5)).astype(np.float64)
    for given_weights in (None, weights):
        whole = race(codes, given_weights)
        some = race(codes[8000:], None if given_weights is None else given_weights[8000:])
        assert all(np.array_equal(one[8000:], other) for one, other in zip(whole, some, strict=True))


def test_where_nothing_can_be_read_the_first_answer_stays() -> None:
    leads, first, second = race(np.array([[-1001, -1, 2]]))
    assert (leads.tolist(), first.tolist(), second.tolist()) == (
        [[-1001, -1001, 2]],
        [[0, 0, 1]],
        [[0, 0, 0]],
    )
