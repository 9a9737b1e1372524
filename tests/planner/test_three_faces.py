"""Python, the command line and the server answer alike: the same plan, answer, stages and spend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import planner
from planner.cli.main import app
from planner.models import shipped
from planner.server.app import create_app
from planner.server.backends import embedded
from planner.server.current import Current
from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Prices
from search.result import Spend

EASY = "What is (13+64)+80?"
PUZZLE = "With the numbers 12,9,20,5 you must reach 18 where only +,- is allowed"
OPEN = "Tell me about the sea"
PRICES = Prices(1.0, 2.0, 0.5)


@dataclass(frozen=True)
class Told:
    """What a face says of one request."""

    plan: str
    models: tuple[str, str | None]
    answer: str | None
    stages: tuple[str, ...]
    tokens: tuple[int, int]
    flops: float
    ended: str | None
    is_planned: bool


@pytest.fixture(scope="module")
def lab() -> Iterator[planner.Planner]:
    loaded = planner.load("lab", prices=PRICES)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def server() -> Iterator[TestClient]:
    folder = shipped("planner")
    known = planner.Planner.load(folder)
    policies, prms = ({name: shipped(name) for name in names} for names in (known.policies, known.prms))
    models = embedded(known, policies, prms).models
    service = Service(Current(folder, models.cards), models, Rules(prices=PRICES))
    with TestClient(create_app(service)) as client:
        yield client


def in_python(lab: planner.Planner, question: str, seed: int, budget: dict[str, Any], **how: Any) -> Told:
    found = lab.solve(question, budget=planner.Budget(**budget), seed=seed, **how)
    return Told(
        str(found.choice.plan),
        (found.choice.policy, found.choice.prm),
        found.answer,
        tuple(str(stage.advice.choice.plan) for stage in found.stages),
        _tokens(found.spend),
        found.spend.flops,
        None if found.ended is None else str(found.ended),
        not found.reason,
    )


def _tokens(spend: Spend) -> tuple[int, int]:
    return spend.policy_tokens, spend.prm_tokens


def on_the_command_line(question: str, seed: int, budget: dict[str, Any], *options: str) -> Told:
    words = [word for name, value in budget.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    options = ("--prices", "1,2,0.5", "--seed", str(seed), *words, "--json", *options)
    done = CliRunner().invoke(app, ["solve", question, *options])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    return Told(
        found["plan"],
        (found["policy"], found["prm"]),
        found["answer"],
        tuple(stage["advice"]["plan"] for stage in found["stages"]),
        (found["spend"]["policy_tokens"], found["spend"]["prm_tokens"]),
        found["spend"]["flops"],
        found["ended"],
        found["reason"] is None,
    )


def over_http(server: TestClient, question: str, seed: int, budget: dict[str, Any], **body: Any) -> Told:
    asked = {
        "model": "planner",
        "messages": [{"role": "user", "content": question}],
        "seed": seed,
        "budget": budget,
        **body,
    }
    answer = server.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()["planner"]
    return Told(
        found["plan"],
        (found["policy"], found["prm"]),
        found["answer"],
        tuple(stage["plan"] for stage in found["stages"]),
        (found["spend"]["policy_tokens"], found["spend"]["prm_tokens"]),
        found["spend"]["flops"],
        found["ended"],
        found["reason"] is None,
    )


@pytest.mark.parametrize(
    ("question", "budget"),
    [
        (EASY, {"seconds": 60.0}),
        (EASY, {"tokens": 800}),
        (EASY, {"accuracy": 0.9}),
        (PUZZLE, {"tokens": 800}),
        (PUZZLE, {"flops": 3e9, "tokens": 3000}),
        (PUZZLE, {"samples": 8}),
        (PUZZLE, {"usd": 0.002}),
        (PUZZLE, {"mean_flops": 1e9}),
        (OPEN, {"tokens": 800}),
    ],
)
def test_three_faces_say_the_same(
    lab: planner.Planner, server: TestClient, question: str, budget: dict[str, Any]
) -> None:
    told = in_python(lab, question, 7, budget)
    assert on_the_command_line(question, 7, budget) == told
    assert over_http(server, question, 7, budget) == told
    assert told.is_planned == (question != OPEN)


def test_a_settled_vote_ends_in_all_of_them_unless_all_is_to_be_drawn(
    lab: planner.Planner, server: TestClient
) -> None:
    budget = {"tokens": 800}
    every = in_python(lab, PUZZLE, 7, budget, draw_all=True)
    assert on_the_command_line(PUZZLE, 7, budget, "--draw-all") == every
    assert over_http(server, PUZZLE, 7, budget, draw_all=True) == every
    assert every.ended is None


@pytest.mark.parametrize(
    "plan", ["aggregate(n=3, how=select)", "refine(rounds=1, feedback=none)", "program(n=2)"]
)
def test_a_plan_that_is_forced_is_run_in_all_of_them(
    lab: planner.Planner, server: TestClient, plan: str
) -> None:
    budget = {"tokens": 1500}
    told = in_python(lab, PUZZLE, 7, budget, plan=plan)
    assert told.plan == plan
    assert sum(told.tokens) <= 1500
    assert on_the_command_line(PUZZLE, 7, budget, "--plan", plan) == told
    over = over_http(server, PUZZLE, 7, budget, model=f"planner/{plan}")
    assert (over.plan, over.answer, over.tokens) == (told.plan, told.answer, told.tokens)


def test_a_plan_that_is_forced_needs_no_budget_and_finds_its_prm(lab: planner.Planner) -> None:
    found = lab.solve(PUZZLE, seed=7, plan="best_of_n(n=2)")
    assert (str(found.choice.plan), found.choice.prm in lab.prms) == ("best_of_n(n=2, score=last)", True)
    done = CliRunner().invoke(app, ["solve", OPEN, "--plan", "aggregate(n=2)", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["plan"] == "aggregate(n=2, how=select)"


def test_a_plan_that_cannot_run_says_so_in_all_of_them(lab: planner.Planner, server: TestClient) -> None:
    rule = "feedback=tests needs a question that shows tests"
    with pytest.raises(planner.PlannerError, match=rule):
        lab.solve(PUZZLE, plan="refine(feedback=tests)")
    done = CliRunner().invoke(app, ["solve", PUZZLE, "--plan", "refine(feedback=tests)"])
    assert done.exit_code == 2
    assert rule in done.stderr
    asked = {"messages": [{"role": "user", "content": PUZZLE}]}
    answer = server.post("/v1/chat/completions", json={"model": "planner/refine(feedback=tests)", **asked})
    assert answer.status_code == 400
    assert rule in answer.json()["error"]["message"]


def test_a_domain_that_is_named_counts_in_all_of_them(lab: planner.Planner, server: TestClient) -> None:
    budget = {"tokens": 800}
    told = in_python(lab, OPEN, 7, budget, domain="arithmetic")
    assert told.is_planned
    assert on_the_command_line(OPEN, 7, budget, "--domain", "arithmetic") == told
    assert over_http(server, OPEN, 7, budget, domain="arithmetic") == told


def test_a_prm_that_is_left_out_is_in_all_of_them(lab: planner.Planner, server: TestClient) -> None:
    budget = {"tokens": 800}
    told = in_python(lab, PUZZLE, 7, budget, without=lab.prms)
    assert told.models[1] is None
    options = [word for prm in lab.prms for word in ("--without", prm)]
    assert on_the_command_line(PUZZLE, 7, budget, *options) == told
    assert over_http(server, PUZZLE, 7, budget, prm="none") == told


def test_leaving_out_what_is_not_there_or_everything_is_refused(lab: planner.Planner) -> None:
    with pytest.raises(planner.ArtefactError, match=r"what is left out is one of lab-policy-.*, got 'gpt'"):
        lab.solve(EASY, tokens=800, without=["gpt"])
    with pytest.raises(planner.ArtefactError, match="a planner needs a choice, got none without"):
        lab.solve(EASY, tokens=800, without=lab.policies)


def test_what_happens_is_told_in_all_of_them(lab: planner.Planner) -> None:
    heard: list[str] = []
    lab.solve(EASY, tokens=800, seed=7, on_event=lambda event: heard.append(str(event)))
    done = CliRunner().invoke(app, ["solve", EASY, "--tokens", "800", "--seed", "7", "--events", "--json"])
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines() == heard
    assert [line.split()[0].rstrip(":") for line in heard] == ["decided", "started", "drawn"]


def test_a_contradiction_is_refused_in_all_of_them(lab: planner.Planner, server: TestClient) -> None:
    rule = "a budget has one of a mean, an accuracy and a price"
    with pytest.raises(planner.BudgetError, match=rule):
        lab.solve(EASY, accuracy=0.9, mean_flops=1e9)
    done = CliRunner().invoke(app, ["solve", EASY, "--accuracy", "0.9", "--mean-flops", "1e9"])
    assert done.exit_code == 2
    assert rule in done.stderr
    asked = {"model": "planner", "messages": [{"role": "user", "content": EASY}]}
    answer = server.post(
        "/v1/chat/completions", json={**asked, "budget": {"accuracy": 0.9, "mean_flops": 1e9}}
    )
    assert answer.status_code == 400
    assert rule in answer.json()["error"]["message"]


def test_an_open_question_can_be_answered_by_a_plan_of_choice(lab: planner.Planner) -> None:
    found = lab.solve(OPEN, tokens=1500, seed=7, open_plan="aggregate(n=2)")
    assert (str(found.choice.plan), bool(found.reason)) == ("aggregate(n=2, how=select)", True)
    assert found.spend.tokens <= 1500
    planned = lab.solve(EASY, tokens=800, seed=7, open_plan="aggregate(n=2)")
    assert planned == replace(lab.solve(EASY, tokens=800, seed=7), spend=planned.spend, stages=planned.stages)
    with pytest.raises(planner.PlanError, match="a plan of one policy and no PRM"):
        lab.solve(OPEN, tokens=800, open_plan="best_of_n(n=2)")
