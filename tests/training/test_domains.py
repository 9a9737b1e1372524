"""Learned questions are planned, left-out families too; open-ended prompts and other problems are foreign."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from planner.features.familiarity import DomainModel
from planner.models import shipped
from planner.planner import Planner
from search.errors import ArtefactError
from search.problem import Problem
from search.problem_sets.families import families_of
from training.background import problems, prompts
from training.domains import fit_domains, with_domains
from training.lab.problems import problem_set

DATA = os.environ.get("PLANNER_DATA")
OPEN_ENDED = Path(__file__).parents[1] / "planner" / "data" / "open_ended.jsonl"


def lines(path: Path) -> list[str]:
    return [str(json.loads(line)["question"]) for line in path.read_text(encoding="utf-8").splitlines()]


@cache
def lab(split: str, count: int, seed: int) -> tuple[Problem, ...]:
    return tuple(worked.problem for worked in problem_set(split, count, seed))


@cache
def gsm8k() -> tuple[str, ...]:
    if DATA is None:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    return tuple(lines(Path(DATA) / "problem_sets" / "gsm8k_test.jsonl"))


def learned(asked: tuple[Problem, ...]) -> DomainModel:
    return fit_domains(
        [problem.question for problem in asked],
        [problem.domain for problem in asked],
        [problem.family for problem in asked],
    )


@cache
def of_word_problems(count: int) -> DomainModel:
    questions = gsm8k()[:: len(gsm8k()) // count][:count]
    return fit_domains(questions, ["math"] * len(questions), list(families_of(questions)))


def foreign(model: DomainModel, questions: list[str]) -> float:
    return float(np.mean([model.predict(question).domain is None for question in questions]))


# ---- the shipped planner


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner.load(shipped("planner"))


def test_the_shipped_planner_plans_the_labs_questions_for_their_domains(planner: Planner) -> None:
    asked = lab("check", 600, 5)
    right = [planner.assign(problem.question).domain == problem.domain for problem in asked]
    assert np.mean(right) >= 0.99


def test_the_shipped_planner_gives_open_ended_prompts_one_plain_answer(planner: Planner) -> None:
    found = [planner.assign(question) for question in lines(OPEN_ENDED)]
    assert len(found) == 100
    plain = [one for one in found if not one.planned]
    assert len(plain) >= 95
    assert all("unlike the 1,024 problems" in one.reason for one in plain)


def test_word_problems_of_others_are_foreign_to_the_shipped_planner(planner: Planner) -> None:
    assert np.mean([not planner.assign(question).planned for question in gsm8k()]) >= 0.9


def test_the_shipped_domain_model_is_made_again_from_the_labs_problems(planner: Planner) -> None:
    made = with_domains(planner, lab("search", 1024, 7)).domain_model
    assert made is not None
    assert planner.domain_model is not None
    questions = [problem.question for problem in lab("check", 100, 5)] + lines(OPEN_ENDED)
    assert [made.predict(question).domain for question in questions] == [
        planner.domain_model.predict(question).domain for question in questions
    ]


def test_a_domain_model_is_made_from_the_planners_own_problems_alone(planner: Planner) -> None:
    with pytest.raises(ArtefactError, match="the planner's own problems"):
        with_domains(planner, lab("search", 100, 8))


# ---- learned here


def test_families_that_were_left_out_are_planned_for() -> None:
    asked = lab("search", 1024, 7)
    families = sorted({problem.family for problem in asked})
    alarms = []
    for part in range(3):
        left_out = set(families[part::6])
        model = learned(tuple(problem for problem in asked if problem.family not in left_out))
        alarms += [
            model.predict(problem.question).domain is None for problem in asked if problem.family in left_out
        ]
    assert len(alarms) > 400
    assert np.mean(alarms) <= 0.01


def test_all_word_problems_are_planned_by_a_planner_learned_on_them() -> None:
    model = of_word_problems(len(gsm8k()))
    assert {model.predict(question).domain for question in gsm8k()} == {"math"}
    assert foreign(model, lines(OPEN_ENDED)) >= 0.95
    assert foreign(model, [problem.question for problem in lab("check", 600, 5)]) >= 0.95


@pytest.mark.parametrize("count", [60, 100])
def test_a_small_log_is_enough(count: int) -> None:
    model = of_word_problems(count)
    assert foreign(model, list(gsm8k())) <= 0.02
    assert foreign(model, lines(OPEN_ENDED)) >= 0.95


def test_two_domains_of_very_different_sizes_are_told_apart() -> None:
    asked = [problem for problem in lab("search", 400, 3) if problem.domain == "puzzle"]
    few = [problem for problem in lab("search", 400, 3) if problem.domain == "code"][:12]
    model = learned((*asked, *few))
    for name in ("puzzle", "code"):
        others = [problem.question for problem in lab("check", 200, 6) if problem.domain == name]
        assert np.mean([model.predict(question).domain == name for question in others]) >= 0.9


def test_one_family_alone_is_left_out_question_by_question() -> None:
    asked = [problem for problem in lab("search", 1024, 7) if problem.family == "puzzle-numbers-24"]
    model = learned(tuple(asked))
    assert model.predict(asked[0].question).domain == "puzzle"
    assert model.predict("Write a poem about the sea.").domain is None


def test_fitting_repeats() -> None:
    asked = lab("search", 120, 4)
    one, other = learned(asked), learned(asked)
    assert one.limit == other.limit
    assert np.array_equal(one.weights, other.weights)


def test_the_background_is_drawn_from_templates_and_repeats() -> None:
    assert prompts() == prompts()
    assert prompts(seed=1) != prompts()
    for drawn in (prompts(), problems()):
        assert len(drawn) > 500
        assert len({one.template for one in drawn}) > 100
        assert not [one for one in drawn if "{number}" in one.question or "{small}" in one.question]
