"""Every chemistry family keeps the promises of Family; the labels of prefixes are what the module says."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.problem import Problem
from training.lab.chemistry import CAPITALISED, ELEMENTS, FAMILIES, LOCKED_FAMILIES, MASSES, REACTIONS, terms
from training.lab.family import Family
from training.lab.graders.chemistry import ChemistryDomain
from training.lab.graders.code import CodeDomain

CHEMISTRY = ChemistryDomain()
families = st.sampled_from((*FAMILIES, *LOCKED_FAMILIES))
seeds = st.integers(0, 10**9)
difficulties = st.integers(1, 10)


def check_labels(family: Family, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
    """Labels that keep the contract: once False stays False, the last one of an answer is its grade."""
    labels = family.right_so_far(problem, steps)
    assert len(labels) == len(steps)
    assert list(labels) == sorted(labels, reverse=True)
    answer = CHEMISTRY.read(problem, "\n".join(steps))
    if answer is not None:
        assert labels[-1] == CHEMISTRY.grade(problem, answer)
    return labels


def family_named(name: str) -> Family:
    return next(family for family in FAMILIES if family.name == name)


def test_names_are_unique_and_carry_the_domain() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names) >= 7
    assert all(name.startswith("chemistry-") for name in names)


@pytest.mark.parametrize(
    ("formula", "counts"),
    [
        ("NaCl", {"Na": 1, "Cl": 1}),
        ("C6H12O6", {"C": 6, "H": 12, "O": 6}),
        ("Ca(OH)2", {"Ca": 1, "O": 2, "H": 2}),
        ("Al2(SO4)3", {"Al": 2, "S": 3, "O": 12}),
        ("(NH4)2CO3", {"N": 2, "H": 8, "C": 1, "O": 3}),
        ("Cu(CH3COO)2", {"Cu": 1, "C": 4, "H": 6, "O": 4}),
    ],
)
def test_terms(formula: str, counts: dict[str, int]) -> None:
    assert dict(terms(formula)) == counts


def test_equations_are_balanced() -> None:
    for sides in REACTIONS:
        totals: list[dict[str, int]] = []
        for side in sides:
            total: dict[str, int] = {}
            for times, formula in side:
                for element, count in terms(formula):
                    assert element in MASSES
                    total[element] = total.get(element, 0) + times * count
            totals.append(total)
        assert totals[0] == totals[1], sides


@given(families, seeds, difficulties)
def test_a_drawn_problem_keeps_the_contract(family: Family, seed: int, difficulty: int) -> None:
    worked = family.draw(random.Random(seed), difficulty)
    problem = worked.problem
    assert family.draw(random.Random(seed), difficulty) == worked
    assert (problem.family, problem.domain) == (family.name, "chemistry")
    assert json.loads(json.dumps(dict(problem.meta))) == problem.meta
    assert CHEMISTRY.claims(problem.question)
    assert not CodeDomain().claims(problem.question)
    assert CHEMISTRY.read(problem, worked.solution) == problem.answer
    assert CHEMISTRY.grade(problem, problem.answer)
    assert all(check_labels(family, problem, worked.steps))
    # Without its end nothing grades, so the walk itself is tested here.
    assert all(check_labels(family, problem, worked.steps[:-1]))
    # Short numbers, and only the words that were promised.
    assert not re.search(r"\.[0-9]{3}|[0-9]{7}", worked.solution)
    symbols = "|".join(sorted(ELEMENTS, key=len, reverse=True))
    words = re.findall(r"[A-Z][a-z]*", re.sub(rf"(?:{symbols})(?![a-z])", " ", problem.question))
    assert set(words) <= set(CAPITALISED)


@given(families, seeds, difficulties, st.data())
def test_any_mixture_of_lines_keeps_the_contract(
    family: Family, seed: int, difficulty: int, data: st.DataObject
) -> None:
    rng = random.Random(seed)
    worked, other = family.draw(rng, difficulty), family.draw(rng, difficulty)
    pool = [
        *worked.steps,
        *other.steps,
        "",
        "nonsense",
        "1+1=2",
        "#1 g",
        "#",
        "1/0=1",
        "..+1=1",
        "O 16*1=16\n#1 g",
    ]
    steps = data.draw(st.lists(st.sampled_from(pool), max_size=10))
    check_labels(family, worked.problem, steps)


@given(families, seeds, difficulties)
def test_independent_terms_may_come_in_any_order(family: Family, seed: int, difficulty: int) -> None:
    rng = random.Random(seed)
    worked = family.draw(rng, difficulty)
    is_term = [line[0].isalpha() for line in worked.steps]
    shuffled = [line for line, term in zip(worked.steps, is_term, strict=True) if term]
    rest = [line for line, term in zip(worked.steps, is_term, strict=True) if not term]
    rng.shuffle(shuffled)
    assert all(check_labels(family, worked.problem, [*shuffled, *rest[:-1]]))


@pytest.mark.parametrize("family", [*FAMILIES, *LOCKED_FAMILIES], ids=lambda family: family.name)
def test_a_changed_digit_is_wrong_from_there_on(family: Family) -> None:
    rng = random.Random(4)
    for number in range(60):
        worked = family.draw(rng, 1 + number % 10)
        steps = list(worked.steps[:-1])
        place = rng.randrange(len(steps))
        line = steps[place]
        at = rng.choice([i for i, sign in enumerate(line) if sign.isdigit()])
        steps[place] = line[:at] + rng.choice(sorted(set("123456789") - {line[at]})) + line[at + 1 :]
        if steps[place][:at].endswith("H") or line[at - 1 : at + 1] == "H2":
            continue  # the label of a water term
        labels = check_labels(family, worked.problem, steps)
        assert all(labels[:place])
        if "<" in line:
            continue
        assert not any(labels[place:]), steps
        assert check_labels(family, worked.problem, [*steps, "#9999999 g"])[-1] is False


def molar() -> tuple[Family, Problem]:
    family = family_named("chemistry-groups")
    nodes = [["term", "Ca", "40", 1], ["term", "O", "16", 2], ["term", "H", "1", 2], ["sum", [0, 1, 2]]]
    question = "What is the molar mass of Ca(OH)2?"
    return family, Problem("p", family.name, "chemistry", question, "74 g/mol", {"calculation": nodes})


@pytest.mark.parametrize(
    "steps",
    [
        ["Ca 40*1=40", "O 16*2=32", "H 1*2=2", "40+32=72", "72+2=74", "#74 g/mol"],
        ["H 1*2=2", "O 16*2=32", "2+32=34", "Ca 40*1=40", "40+34=74", "#74 g/mol"],
        ["O 16.0*2=32", "", "Ca 40*1=40", "40+32=72", "H 1*2=2\n2+72=74", "#74.0 g/mol"],
    ],
)
def test_right_ways(steps: list[str]) -> None:
    family, problem = molar()
    assert all(check_labels(family, problem, steps[:-1]))
    assert all(check_labels(family, problem, steps))


@pytest.mark.parametrize(
    "steps",
    [
        ["Ca 40*1=41"],
        ["Ca 41*1=41"],
        ["Ca 40*2=80"],
        ["Na 23*1=23"],
        ["Ca 40*1=40", "Ca 40*1=40"],
        ["Ca 40*1=40", "40+40=80"],
        ["Ca 40*1=40", "40+32=72"],
        ["Ca 40*1=40", "40*2=80"],
        ["Ca 40*1=40", "O 16*2=32", "40+32=73"],
        ["Ca 40*1=40", "O 16*2=32", "40-32=8"],
        ["40*1=40"],
        ["Ca 40*1=40."],
        ["#75 g/mol"],
        ["#74 g"],
        ["#74"],
    ],
)
def test_wrong_or_useless_lines(steps: list[str]) -> None:
    family, problem = molar()
    labels = check_labels(family, problem, steps)
    assert all(labels[:-1])
    assert labels[-1] is False


def test_a_right_answer_vouches_for_its_steps() -> None:
    family, problem = molar()
    assert check_labels(family, problem, ["nonsense", "#74 g/mol"]) == (True, True)
    assert check_labels(family, problem, ["nonsense"]) == (False,)
    assert check_labels(family, problem, ["#74 g/mol", "#1 g"]) == (True, False)


def test_answers_and_questions_are_spread() -> None:
    rng = random.Random(1)
    drawn = [family.draw(rng, 1 + number % 10) for family in FAMILIES for number in range(500)]
    assert len({worked.problem.answer for worked in drawn}) >= 1000
    assert len({worked.problem.question for worked in drawn}) >= 3500
    answers: dict[str, str | None] = {}
    for worked in drawn:
        assert answers.setdefault(worked.problem.question, worked.problem.answer) == worked.problem.answer
