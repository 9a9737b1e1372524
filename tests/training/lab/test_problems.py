"""Problem sets: determined by the seed, split by the question, wide enough for folds by family."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.grading.registry import domain
from training.lab.family import DIFFICULTIES, Family
from training.lab.identity import SPLITS, split_of
from training.lab.problems import DOMAINS, FAMILIES, family_of, problem_set


def test_thirty_families_over_four_domains() -> None:
    assert len(FAMILIES) >= 30
    assert {family.domain for family in FAMILIES.values()} == set(DOMAINS)


def test_a_set_follows_from_its_seed_and_repeats_no_question() -> None:
    first, second = (list(problem_set("search", 200, seed=4)) for _ in range(2))
    assert first == second
    assert len({worked.problem.question for worked in first}) == 200


def test_splits_are_disjoint_and_complete() -> None:
    assert sum(SPLITS.values()) == 100
    for split in SPLITS:
        for worked in problem_set(split, 50, seed=1):
            assert split_of(worked.problem.question) == split


def test_every_family_is_drawn_and_found_again() -> None:
    drawn = [worked.problem for worked in problem_set("train", 1500, seed=2)]
    assert {problem.family for problem in drawn} == set(FAMILIES)
    assert all(family_of(problem).domain == problem.domain for problem in drawn)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@given(seed=st.integers(0, 10**9), difficulty=st.sampled_from(DIFFICULTIES))
@settings(max_examples=30, deadline=None)
def test_every_question_is_claimed_by_its_own_domain(family: Family, seed: int, difficulty: int) -> None:
    question = family.draw(random.Random(seed), difficulty).problem.question
    assert [name for name in DOMAINS if domain(name).claims(question)] == [family.domain]
