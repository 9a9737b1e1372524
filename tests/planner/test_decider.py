"""Who decides about the domain: the request, else the planner's model, else what older planners have."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from planner.decider import Assigned
from planner.features.familiarity import DomainModel
from planner.planner import Planner
from search.budget import Budget
from search.errors import ArtefactError, GradingError
from search.plan import Plan
from training.domains import fit_domains

OWN = [
    f"{kind} {n} + {n + 1}" for n in range(40) for kind in ("reach the target from", "work out the sum of")
]


@cache
def model() -> DomainModel:
    return fit_domains(OWN, ["puzzle", "arithmetic"] * 40, [f"f{n % 8}" for n in range(80)])


@pytest.fixture
def knowing(planner: Planner) -> Planner:
    return replace(planner, domain_model=model())


def test_a_named_domain_counts(knowing: Planner) -> None:
    assert knowing.assign("Tell me a story", "math") == Assigned("math", True)
    with pytest.raises(GradingError, match=r"domain must be one of .*, got 'poetry'"):
        knowing.assign(OWN[0], "poetry")


def test_a_model_tells_domains_and_foreign_questions(knowing: Planner) -> None:
    assert knowing.assign("reach the target from 5 + 6") == Assigned("puzzle", True)
    assert knowing.assign("work out the sum of 51 + 61") == Assigned("arithmetic", True)
    found = knowing.assign("Could you tell me a story about a dragon?")
    assert (found.domain, found.planned) == ("text", False)
    assert found.reason == (
        "not planned: the question is unlike the 80 problems that this planner was learned from "
        "(arithmetic, puzzle)"
    )


def test_without_a_model_one_domain_takes_every_question(planner: Planner) -> None:
    of_one = replace(planner, domains=("math",))
    assert of_one.assign("Tell me a story") == Assigned("math", True)


def test_without_a_model_several_ask_their_graders(planner: Planner) -> None:
    assert planner.domain_model is None
    assert planner.assign("What is 3 plus 4?") == Assigned("arithmetic", True)
    found = planner.assign("Balance the following equation: H2 + O2 -> H2O")  # a grader that is not its own
    assert not found.planned
    assert found.reason == "not planned: no domain of this planner claims the question (arithmetic, puzzle)"


def test_a_recommendation_for_a_foreign_question_is_one_plain_answer_with_the_reason(
    knowing: Planner,
) -> None:
    advice = knowing.recommend("Tell me a story about a dragon", price=0.0)
    assert (advice.choice.plan, advice.probe) == (Plan.of("cot"), None)
    assert "unlike the 80 problems" in advice.warnings[0]
    assert np.isnan(advice.accuracy)
    named = knowing.recommend("Tell me a story about a dragon", price=0.0, domain="math")
    assert np.isfinite(named.accuracy)
    assert "not from 'math'" in named.warnings[-1]


def test_a_planned_question_is_planned_as_without_a_model(knowing: Planner, planner: Planner) -> None:
    for question in OWN[:10]:
        own = knowing.recommend(question, price=0.0)
        # what is promised goes by the domain
        home = knowing.assign(question).domain
        assert own == planner.decide(question, budget=Budget(price=0.0), domain=home)


def test_a_model_survives_the_disk(knowing: Planner, tmp_path: Path) -> None:
    knowing.save(tmp_path / "planner")
    loaded = Planner.load(tmp_path / "planner").domain_model
    assert loaded is not None
    for question in (*OWN, "Tell me a story", "", "\ud800", "7"):
        assert loaded.predict(question) == model().predict(question)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", 0.0),
        ("limit", float("nan")),
        ("problems", 0),
        ("domains", ()),
        ("domains", ("puzzle",)),
        ("tails", np.zeros(3)),
        ("edges", np.full(3, np.inf)),
        ("scale", np.zeros(26)),
        ("weights", np.zeros((3, 4))),
        ("known", np.array([3, 2])),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(name: str, value: object) -> None:
    with pytest.raises(ArtefactError):
        replace(model(), **{name: value})  # type: ignore[arg-type]


def test_a_model_of_other_domains_is_refused(planner: Planner) -> None:
    with pytest.raises(ArtefactError, match="a domain model must know the planner's domains"):
        replace(planner, domain_model=replace(model(), domains=("code", "puzzle")))
