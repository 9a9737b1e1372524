"""Families of near-duplicates: found whatever the numbers, names and order; different questions apart."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.problem_sets.families import families_of, likeness, template

STORIES = (
    "{a} bought {n} pens on {d}. {p} gave {m} of them to {b}. How many pens does {a} have left?",
    "{a} walks {n} miles every day for {m} weeks. How far has {p} walked in total when {b} joins on {d}?",
    "A train leaves the station at {n} km per hour and {a} chases it after {m} minutes. When does {p} win?",
    "Each box holds {n} eggs. {a} and {b} sell {m} boxes on {d} for a dollar each. What do they earn?",
)
NAMES = ("Tom", "Ann Lee", "Mohammed", "Xiu", "Olga", "Jean-Luc")
DATES = ("May 3, 2021", "Monday", "12/24/1999", "January 1", "2020-02-29")


def told(story: str, seed: int) -> str:
    draw = random.Random(seed)
    a, b = draw.sample(NAMES, 2)
    return story.format(
        a=a,
        b=b,
        n=draw.randint(2, 9999),
        m=f"{draw.randint(2, 99)}.5" if seed % 2 else draw.choice(("three", "twelve")),
        d=draw.choice(DATES),
        p=draw.choice(("He", "She")),
    )


def test_a_template_keeps_its_family_whatever_its_numbers_names_and_dates() -> None:
    questions = [told(story, seed) for story in STORIES for seed in range(12)]
    families = families_of(questions)
    by_story = [set(families[12 * place : 12 * place + 12]) for place in range(len(STORIES))]
    assert [len(found) for found in by_story] == [1] * len(STORIES)
    assert len(set.union(*by_story)) == len(STORIES)


@given(st.permutations(list(range(20))))
def test_order_does_not_matter(order: list[int]) -> None:
    questions = [told(STORIES[place % 4], place) for place in range(16)] + ["4 5 6 10", "1 2 3 4", "x", "y?"]
    families = families_of(questions)
    shuffled = families_of([questions[place] for place in order])
    assert list(shuffled) == [families[place] for place in order]


def test_one_long_story_with_several_questions_is_one_family() -> None:
    story = " ".join(f"The {word} stood beside a river and sang of old kings." for word in "abcdefgh")
    families = families_of([f"{story} Who sang?", f"{story} Where did it stand, and why?", "Who are you?"])
    assert families[0] == families[1] != families[2]


def test_questions_of_digits_alone_keep_them() -> None:
    questions = [f"{i} {i + 2} {i + 7} 11" for i in range(1, 30)]
    assert len(set(families_of(questions))) == len(questions)
    assert template("12*(3+4)") == ("12", "*", "(", "3", "+", "4", ")")


@pytest.mark.parametrize("question", ["", " ", "?", "\ud83d", "\u4e8c\u3064", "a" * 10_000, "\\frac{1}{2}"])
def test_any_text_has_a_family(question: str) -> None:
    assert len(families_of([question, "What is it?"])) == 2


def test_no_questions_have_no_families() -> None:
    assert families_of([]) == ()
    assert likeness([], []).share == 0.0


def test_folds_that_split_templates_look_alike_and_others_do_not() -> None:
    questions = [told(story, seed) for story in STORIES for seed in range(10)]
    split = likeness(questions, [str(place % 5) for place in range(len(questions))])
    assert split.share == 1.0
    assert split.first is not None
    assert likeness(questions, families_of(questions)).share == 0.0
    one = likeness([questions[0], questions[1], "Why do cats purr at night?"], ["a", "b", "b"])
    assert one.similarity[:2].min() > 0.7
    assert (one.similarity[2], one.first) == (0.0, (0, 1))
    with pytest.raises(ValueError, match="every question has a group, got 1 and 2"):
        likeness(["a"], ["b", "c"])


def test_public_sets_have_few_near_duplicates_and_templates_have_many() -> None:
    if "PLANNER_DATA" not in os.environ:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    folder = Path(os.environ["PLANNER_DATA"]) / "problem_sets"
    lines = (folder / "gsm8k_test.jsonl").read_text().splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    assert len(set(families_of(questions))) > 1300
    digits = str.maketrans("0123456789", "5678901234")
    twins = [question.translate(digits) for question in questions[:200]]
    families = families_of([*questions[:200], *twins])
    assert all(family == twin for family, twin in zip(families[:200], families[200:], strict=True))
    assert max(Counter(families).values()) <= 6
