"""Live runs on scripted models: the planner's stages, its caps, and its spends."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from planner.executor import solve, solve_sync
from planner.labels import Look
from planner.objective import HardCap, MeanBudget, Objective, Price
from planner.planner import Planner
from search.choice import Choice
from search.engines.scripted import ScriptedEngine
from search.errors import ArtefactError, BudgetError
from search.plan import Plan
from search.problem import Problem
from search.result import Outcome
from search.rewards.scripted import ScriptedReward
from search.strategies.protocol import Setting

PROBLEM = Problem("p1", "f", "text", "work out the sum of 3 + 41 + 7", "51")


def writes(text: str, rng: Random) -> str:
    return "3 + 41 = 44\n# 51" if rng.random() < 0.6 else f"hm\n# {rng.randint(1, 99)}"


def settings() -> dict[tuple[str, str | None], Setting]:
    out: dict[tuple[str, str | None], Setting] = {}
    for policy, size in (("small", 1_000_000), ("large", 4_000_000)):
        engine = ScriptedEngine(writes, name=policy, parameters=size)
        for prm in ("good", "bad"):
            reward = ScriptedReward(
                lambda q, steps: 0.9 if "51" in steps[-1] else 0.3, name=prm, parameters=1_000_000
            )
            out[policy, prm] = Setting(engine, reward)
    return out


def looking(planner: Planner) -> Planner:
    """The same planner with a rule that looks as far as it can."""
    stages = []
    for stage in planner.stages:
        centre = stage.centre.copy()
        if stage.terms.next_look is not None:
            centre[len(stage.choices) :] += 50.0
        stages.append(replace(stage, centre=centre))
    return replace(planner, stages=tuple(stages))


async def test_looks_decides_again_and_answers(planner: Planner) -> None:
    solution = await solve(
        PROBLEM, looking(planner), settings(), objective=Price(0.0), allow_foreign=True, seed=3
    )
    assert [record.look for record in solution.stages] == [stage.look for stage in planner.stages]
    assert solution.stages[0].advice.look == planner.stages[1].look
    assert solution.stages[-1].advice.look is None
    assert solution.outcome == Outcome.ANSWERED
    assert solution.answer in {candidate.answer for candidate in solution.candidates}
    assert sum(record.spend.policy_tokens for record in solution.stages) == solution.spend.policy_tokens
    assert sum(record.spend.prm_tokens for record in solution.stages) == solution.spend.prm_tokens
    assert solution.tokens >= solution.stages[0].spend.tokens
    if solution.choice.policy == planner.stages[1].look.policy and not solution.choice.plan.is_tree:
        assert len(solution.candidates) == solution.choice.plan.n


async def test_the_same_seed_gives_the_same_answer(planner: Planner) -> None:
    one, two = [
        await solve(PROBLEM, planner, settings(), objective=Price(0.0), allow_foreign=True, seed=8)
        for _ in range(2)
    ]
    assert one.candidates == two.candidates
    assert one.answer == two.answer


@pytest.mark.parametrize("tokens", [300, 600, 1500])
async def test_a_hard_cap_is_never_broken(planner: Planner, tokens: int) -> None:
    cap = HardCap(tokens=tokens)
    for objective in (cap, Price(0.0)):
        for chosen in (planner, looking(planner)):
            solution = await solve(
                PROBLEM, chosen, settings(), objective=objective, cap=cap, allow_foreign=True
            )
            assert 0 < solution.spend.tokens <= tokens


async def test_a_cap_below_everything_is_refused(planner: Planner) -> None:
    with pytest.raises(BudgetError, match="cheapest choice"):
        await solve(PROBLEM, planner, settings(), objective=HardCap(tokens=2), allow_foreign=True)


async def test_foreign_and_missing_models_are_refused(planner: Planner) -> None:
    with pytest.raises(ArtefactError, match="learned from"):
        await solve(PROBLEM, planner, settings(), objective=Price(0.0))
    one = {key: value for key, value in settings().items() if key == ("small", "bad")}
    with pytest.raises(ArtefactError, match="models that are there"):
        await solve(PROBLEM, looking(planner), one, objective=Price(0.0), allow_foreign=True)


@pytest.mark.parametrize("objective", [MeanBudget(1e8), Price(1.0, "tokens")])
async def test_runs_in_a_loop_through_the_synchronous_face(planner: Planner, objective: Objective) -> None:
    solution = solve_sync(PROBLEM, planner, settings(), objective=objective, allow_foreign=True)
    assert solution.spend.tokens > 0


async def test_open_ended_requests_are_answered_once(planner: Planner) -> None:
    solution = await solve(
        "tell me about the sea", planner, settings(), objective=Price(0.0), voteable=False, allow_foreign=True
    )
    assert solution.choice.plan == Plan.of("cot")
    assert len(solution.candidates) == 1
    assert np.isnan(solution.accuracy)


def test_another_policys_plan_does_not_take_the_probe() -> None:
    look = Look("small", 4)
    assert look.joins(Choice("small", None, Plan.of("majority", n=16)))
    assert not look.joins(Choice("large", None, Plan.of("majority", n=16)))
    assert not look.joins(Choice("small", None, Plan.of("cot")))


async def test_abstains_where_nothing_is_expected_to_help(planner: Planner) -> None:
    nothing = await solve(
        PROBLEM, planner, settings(), objective=Price(0.0), abstain_below=1.01, allow_foreign=True
    )
    assert nothing.outcome == Outcome.ABSTAINED
    assert nothing.answer is None
    assert nothing.spend.tokens == 0
    assert nothing.stages[-1].advice.abstain
    hopeful = await solve(PROBLEM, planner, settings(), objective=Price(0.0), allow_foreign=True)
    assert hopeful.outcome == Outcome.ANSWERED
    assert not any(record.advice.abstain for record in hopeful.stages)
