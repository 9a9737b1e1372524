"""Every code family keeps the promises of Family; the labels of prefixes are what the module says."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.problem import Problem
from training.lab.code import FAMILIES, LOCKED_FAMILIES, RETURN, DescribedCode, InducedCode
from training.lab.family import Family
from training.lab.graders.chemistry import ChemistryDomain
from training.lab.graders.code import CodeDomain

CODE = CodeDomain()
families = st.sampled_from((*FAMILIES, *LOCKED_FAMILIES))
seeds = st.integers(0, 10**9)
difficulties = st.integers(1, 10)


def check_labels(family: Family, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
    """Labels that keep the contract: once False stays False, the last one of a whole program is its grade."""
    labels = family.right_so_far(problem, steps)
    assert len(labels) == len(steps)
    assert list(labels) == sorted(labels, reverse=True)
    whole = CODE.read(problem, "\n".join(steps))
    if whole is not None:
        assert labels[-1] == CODE.grade(problem, whole)
    return labels


def test_names_are_unique_and_carry_the_domain() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names) >= 7
    assert all(name.startswith("code-") for name in names)
    assert {type(family) for family in FAMILIES} == {DescribedCode, InducedCode}


@given(families, seeds, difficulties)
def test_a_drawn_problem_keeps_the_contract(family: Family, seed: int, difficulty: int) -> None:
    worked = family.draw(random.Random(seed), difficulty)
    problem = worked.problem
    assert family.draw(random.Random(seed), difficulty) == worked
    assert (problem.family, problem.domain) == (family.name, "code")
    assert json.loads(json.dumps(dict(problem.meta))) == problem.meta
    assert len(json.loads(problem.answer or "")) == 6
    assert CODE.claims(problem.question)
    assert not ChemistryDomain().claims(problem.question)
    assert worked.steps[-1] == RETURN
    assert CODE.read(problem, worked.solution) == worked.solution
    assert CODE.grade(problem, worked.solution)
    assert all(check_labels(family, problem, worked.steps))
    # Without its end nothing grades, so the walk itself is tested here.
    assert all(check_labels(family, problem, worked.steps[:-1]))
    assert check_labels(family, problem, [RETURN]) == (False,)


@settings(deadline=None)
@given(families, seeds, difficulties, st.data())
def test_any_mixture_of_lines_keeps_the_contract(
    family: Family, seed: int, difficulty: int, data: st.DataObject
) -> None:
    rng = random.Random(seed)
    worked, other = family.draw(rng, difficulty), family.draw(rng, difficulty)
    pool = [*worked.steps, *other.steps, "", "x=x", "nonsense", "x=x[9]", "a\nb", "x=" + "(" * 500]
    steps = data.draw(st.lists(st.sampled_from(pool), max_size=7))
    check_labels(family, worked.problem, steps)


@pytest.mark.parametrize("family", [*FAMILIES, *LOCKED_FAMILIES], ids=lambda family: family.name)
def test_corrupted_programs_are_mostly_wrong(family: Family) -> None:
    rng = random.Random(3)
    wrong = 0
    for number in range(60):
        worked = family.draw(rng, 1 + number % 10)
        steps = list(worked.steps)
        place = rng.randrange(len(steps) - 1)
        steps[place] = rng.choice(["x=[v+11 for v in x]", "x=[v*7 for v in x]", "x=x+[77]", "nonsense"])
        labels = check_labels(family, worked.problem, steps)
        assert all(labels[:place])
        wrong += not labels[-1]
    assert wrong >= 55


def test_a_described_prefix_may_pause_but_not_wander() -> None:
    family = FAMILIES[0]
    worked = next(
        worked for seed in range(999) if len((worked := family.draw(random.Random(seed), 5)).steps) == 4
    )
    first, second, third, end = worked.steps
    assert check_labels(family, worked.problem, ["x=x", first, "", second]) == (True,) * 4
    assert check_labels(family, worked.problem, [first, second, third, "x=[v+500 for v in x]"])[-1] is False
    assert check_labels(family, worked.problem, [first, second, end]) == (True, True, False)
    assert check_labels(family, worked.problem, [*worked.steps, "x=x"])[-1] is False
    # A detour that ends right was right all along.
    detour = [first, "x=x+[7]", "x=x[:-1]", second, third, end]
    assert all(check_labels(family, worked.problem, detour))
    assert check_labels(family, worked.problem, detour[:-1])[1] is False


def test_an_induced_prefix_may_go_another_way() -> None:
    family = next(family for family in FAMILIES if family.name == "code-induced-maps")
    for seed in range(99):
        worked = family.draw(random.Random(seed), 5)
        if worked.steps[0].startswith("x=[v+") and worked.steps[1].startswith("x=[v+"):
            break
    swapped = [worked.steps[1], worked.steps[0]]
    assert all(check_labels(family, worked.problem, swapped))
    assert check_labels(family, worked.problem, ["x=[v*v for v in x]", *swapped]) == (False,) * 3


def test_questions_and_programs_are_spread() -> None:
    rng = random.Random(1)
    drawn = [family.draw(rng, 1 + number % 10) for family in FAMILIES for number in range(300)]
    assert len({worked.solution for worked in drawn}) >= 1000
    assert len({worked.problem.question for worked in drawn}) >= 2500
    # One question has one meaning.
    programs: dict[str, str] = {}
    for worked in drawn:
        earlier = programs.setdefault(worked.problem.question, worked.solution)
        assert CODE.grade(worked.problem, earlier)


def test_difficulty_makes_programs_longer() -> None:
    for family in FAMILIES:
        lengths = [len(family.draw(random.Random(5), difficulty).steps) for difficulty in range(1, 11)]
        assert lengths == sorted(lengths)
        assert lengths[-1] > lengths[0]
