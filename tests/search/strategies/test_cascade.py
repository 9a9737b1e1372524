"""Cascades: the first part answers where it agrees, the second is asked elsewhere, all within one ledger."""

from __future__ import annotations

import numpy as np
import pytest

from search.budget import Budget, Prices
from search.engines.scripted import ScriptedEngine
from search.errors import EngineError, PlanError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Outcome
from search.run import run_plan
from search.strategies.cascade import Cascade
from search.strategies.protocol import Setting
from search.strategies.replay import Draws, Record

PROBLEM = Problem("p", "", "text", "which?")
PLAN = Plan.parse("cascade(first=small: majority(n=4), tau=0.75, then=large: cot())")


def setting(small: str, large: str = "# L") -> Setting:
    """Two policies: the small one writes these answers one after the other, the large one always the same."""
    answers = iter(small)
    first = ScriptedEngine(lambda text, rng: f"# {next(answers)}", name="small")
    then = ScriptedEngine(lambda text, rng: large, name="large", parameters=5000)
    pairs = {("small", None): Setting(first), ("large", None): Setting(then)}
    return Setting(first, pairs=pairs)


async def test_where_the_first_agrees_its_answer_stands() -> None:
    there = setting("aaab")
    result = await run_plan(PROBLEM, PLAN, there, seed=1)
    assert (result.answer, result.plan, len(result.candidates)) == ("a", PLAN, 4)
    assert result.spend.flops == there.engine.card.flops(result.spend.policy_tokens)


async def test_where_it_disagrees_the_second_answers_and_both_are_charged() -> None:
    there = setting("aabb")
    result = await run_plan(PROBLEM, PLAN, there, seed=1)
    assert (result.answer, result.chosen, len(result.candidates)) == ("l", 4, 5)
    prompt = len(there.engine.prompt(PROBLEM.question))
    large = there.pairs["large", None].engine.card
    assert result.spend.policy_tokens == 2 * prompt + 4 * 4 + 4
    assert result.spend.flops == there.engine.card.flops(prompt + 16) + large.flops(prompt + 4)


async def test_a_budget_holds_over_both_parts() -> None:
    there = setting("aabb")
    prompt = len(there.engine.prompt(PROBLEM.question))
    result = await run_plan(PROBLEM, PLAN, there, seed=1, budget=Budget(tokens=prompt + 16 + prompt + 1))
    assert result.spend.tokens <= 2 * prompt + 17
    assert (result.outcome, result.answer) == (Outcome.ANSWERED, "a")  # the second part could not begin


async def test_money_is_counted_by_each_policy_s_prices() -> None:
    there = setting("aabb")
    prices = {"small": Prices(prompt=1.0, generated=2.0), "large": Prices(prompt=10.0, generated=20.0)}
    ledger = Ledger(Budget(usd=1.0), there.engine.card, prices=prices)
    await run_plan(PROBLEM, PLAN, there, seed=1, ledger=ledger)
    prompt = len(there.engine.prompt(PROBLEM.question))
    assert ledger.usd == pytest.approx((prompt + 2 * 16 + 10 * prompt + 20 * 4) / 1e6)


async def test_a_second_part_that_fails_leaves_the_first_answer() -> None:
    there = setting("aabb")
    await there.pairs["large", None].engine.close()
    assert (await run_plan(PROBLEM, PLAN, there, seed=1)).answer == "a"


async def test_a_second_part_that_fails_without_a_first_answer_is_an_error() -> None:
    first = ScriptedEngine(lambda text, rng: "", name="small")
    then = ScriptedEngine(lambda text, rng: "# L", name="large")
    await then.close()
    there = Setting(first, pairs={("large", None): Setting(then)})
    with pytest.raises(EngineError):
        await run_plan(PROBLEM, PLAN, there, seed=1)


async def test_a_policy_that_is_not_there_is_said() -> None:
    with pytest.raises(PlanError, match=r"models that are there \(small x -\), got large x - x cot"):
        await run_plan(PROBLEM, PLAN, Setting(setting("aabb").engine), seed=1)


def test_a_replay_asks_the_second_only_where_the_first_disagrees() -> None:
    group = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [-1, -1, -1, -1]])
    small = Draws(group, group == 0, np.full((3, 4), 10.0))
    greedy = np.array([1, 1, 2])
    none = np.zeros((3, 0))
    large = Draws(
        none.astype(np.int64),
        none.astype(np.bool_),
        none,
        greedy_group=greedy,
        greedy_right=np.array([False, True, False]),
        greedy_tokens=np.array([5.0, 6.0, 7.0]),
    )
    found = PLAN.described.replay(Record(("small", None), {("small", None): small, ("large", None): large}))
    assert isinstance(PLAN.described, Cascade)
    assert found.group.tolist() == [0, 1, 2]
    assert found.right.tolist() == [True, True, False]
    assert found.tokens["small"].tolist() == [40.0, 40.0, 40.0]
    assert found.tokens["large"].tolist() == [0.0, 6.0, 7.0]
    assert found.asked["large"].tolist() == [False, True, True]


def test_parts_of_one_policy_take_draws_of_their_own() -> None:
    plan = Plan.parse("cascade(first=m: majority(n=2), tau=1, then=m: majority(n=3))")
    group = np.array([[0, 1, 2, 2, 0]])
    found = plan.described.replay(
        Record(("m", None), {("m", None): Draws(group, group == 2, np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]))})
    )
    assert (found.group.tolist(), found.right.tolist()) == ([2], [True])
    assert found.tokens["m"].tolist() == [31.0]
