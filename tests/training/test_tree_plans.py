"""Searches over steps are learned like any plan: campaigns run them, a fit prices them, requests use them."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.evidence.training_data import read_training_data
from planner.planner import Planner
from planner.solving.settings import settings_of
from planner.solving.solver import solve
from search.budget import Budget
from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.choice import Choice
from search.loader import ReadyLoader
from search.log.outcomes import add_outcomes
from search.log.store import SearchLog
from search.plan import Plan
from tests.search.scripted_campaign import engine, problems, reward
from training.study import fit

TREES = [
    Plan.parse(text)
    for text in (
        "particle_filter(n=4)",
        "lookahead(n=4, width=2, depth=1)",
        "rebase(n=4)",
        "rebase(n=4, vote=majority)",
    )
]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    grid = Grid.of(
        {
            "pair": [{"policy": "m", "prm": "r"}],
            "strategies": ["majority", "best_of_n"],
            "n": [1, 4],
            "samples": 8,
            "block": 8,
            "runs": 1,
            "seed": 3,
            "plan": [str(plan) for plan in TREES],
        }
    )
    found = SearchLog.at(tmp_path_factory.mktemp("trees") / "log")
    Campaign(problems(63), grid, found, ReadyLoader([engine()], [reward()])).run()
    add_outcomes(found, grid.plans())
    return found


@pytest.fixture(scope="module")
def planner(log: SearchLog) -> Planner:
    return fit(log, log.manifest.policies, log.manifest.prms, trials=0)


def test_they_are_choices_with_costs_of_their_own(log: SearchLog) -> None:
    data = read_training_data(log, log.manifest.policies, log.manifest.prms)
    choices = {choice.plan: choice for choice in data.choices}
    assert set(TREES) <= set(choices)
    spent = {plan: data.trees[choices[plan]].policy_tokens.mean() for plan in TREES}
    looked, shared = Plan.parse("lookahead(n=4, width=2, depth=1)"), Plan.parse("rebase(n=4)")
    assert spent[looked] > spent[Plan.parse("particle_filter(n=4)")]  # rollouts are in the price
    assert spent[shared] == spent[shared.with_(vote="majority")]  # one tree


async def test_a_fitted_planner_solves_by_them(planner: Planner) -> None:
    # of those that are never worth their price a fit keeps none
    assert set(TREES) & {choice.plan for choice in planner.choices}
    async with engine() as policy:
        settings = settings_of(planner, ReadyLoader([policy], [reward()]))
        for plan in TREES:
            found = await solve(
                "which is 2?",
                planner,
                settings,
                budget=Budget(tokens=5000),
                domain="text",
                choice=Choice("m", "r", plan),
            )
            assert found.choice.plan == plan
            assert found.answer is not None
            assert 0 < found.spend.tokens <= 5000


def test_the_artefact_knows_their_plans(planner: Planner, tmp_path: Path) -> None:
    planner.save(tmp_path / "planner")
    again = Planner.load(tmp_path / "planner")
    assert again.choices == planner.choices
