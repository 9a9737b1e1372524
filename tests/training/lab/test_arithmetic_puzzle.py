"""Every family of arithmetic and puzzles: solutions grade right, checks are exact, splits hold."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.grading.registry import domain
from search.problem import Problem
from training.lab import arithmetic, puzzle
from training.lab.arithmetic import FAMILIES as ARITHMETIC
from training.lab.family import DIFFICULTIES, Family
from training.lab.puzzle import FAMILIES as PUZZLE

FAMILIES = (*ARITHMETIC, *PUZZLE, *arithmetic.LOCKED_FAMILIES, *puzzle.LOCKED_FAMILIES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
class TestFamily:
    @given(seed=st.integers(0, 10**9), difficulty=st.sampled_from(DIFFICULTIES))
    @settings(max_examples=25, deadline=None)
    def test_worked_solution_is_right_at_every_step(self, family: Family, seed: int, difficulty: int) -> None:
        worked = family.draw(random.Random(seed), difficulty)
        grader = domain(family.domain)
        assert grader.grade(worked.problem, grader.read(worked.problem, worked.solution))
        assert family.right_so_far(worked.problem, worked.steps) == (True,) * len(worked.steps)
        assert worked.problem.family == family.name
        assert grader.claims(worked.problem.question)

    @given(seed=st.integers(0, 10**9), difficulty=st.sampled_from(DIFFICULTIES), data=st.data())
    @settings(max_examples=40, deadline=None)
    def test_a_changed_digit_is_seen_and_never_forgiven(
        self, family: Family, seed: int, difficulty: int, data: st.DataObject
    ) -> None:
        worked = family.draw(random.Random(seed), difficulty)
        text = worked.solution
        places = [place for place, letter in enumerate(text) if letter.isdigit()]
        place = data.draw(st.sampled_from(places))
        digit = data.draw(st.sampled_from([d for d in "0123456789" if d != text[place]]))
        steps = (text[:place] + digit + text[place + 1 :]).split("\n")
        marks = family.right_so_far(worked.problem, steps)
        line = text[:place].count("\n")
        assert marks[:line] == (True,) * line
        assert all(a or not b for a, b in pairwise(marks))
        grader = domain(family.domain)
        right = grader.grade(worked.problem, grader.read(worked.problem, "\n".join(steps)))
        assert right or not marks[-1]
        if family.domain == "puzzle" or line == len(steps) - 1:
            assert right == marks[-1]  # only an earlier slip can end right by luck

    def test_draws_follow_from_the_seed(self, family: Family) -> None:
        first, second = (family.draw(random.Random(5), 4) for _ in range(2))
        assert first == second

    def test_answers_spread(self, family: Family) -> None:
        rng = random.Random(3)
        grader = domain(family.domain)
        drawn = [family.draw(rng, rng.randrange(5, 11)) for _ in range(300)]
        answers = {grader.read(worked.problem, worked.solution) for worked in drawn}
        assert len(answers) > 200


@given(st.text(max_size=200))
def test_reading_any_text_never_raises(text: str) -> None:
    for family in (ARITHMETIC[0], PUZZLE[0], PUZZLE[-1]):
        worked = family.draw(random.Random(1), 3)
        domain(family.domain).read(worked.problem, text)
        family.right_so_far(worked.problem, text.split("\n"))


def test_a_true_step_that_leads_nowhere_is_true_but_not_right() -> None:
    problem = Problem(
        "p", "puzzle-numbers-plain", "puzzle", "Use the numbers 3,5,9 once each to reach 17", "17"
    )
    (family,) = [family for family in PUZZLE if family.name == problem.family]
    lost = ["9-5=4:3,4", "4+3=7:7"]
    assert family.right_so_far(problem, lost) == (False, False)
    assert family.true_so_far(problem, lost) == (True, True)
    forced = ["9-5=4:3,4", "4+3=17:17"]
    assert family.true_so_far(problem, forced) == (True, False)
    right = ["3+5=8:9,8", "8+9=17:17"]
    assert family.right_so_far(problem, right) == family.true_so_far(problem, right) == (True, True)
