"""The one door to all strategies."""

from __future__ import annotations

import pytest

from search.budget import Budget
from search.engines.scripted import ScriptedEngine
from search.errors import BudgetError, GradingError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.run import run_plan
from search.strategies.protocol import Limits, Setting
from search.sync import run_sync

PROBLEM = Problem("p", "f", "text", "2+3?", "5")
COT = Plan.parse("cot()")


def setting() -> Setting:
    return Setting(ScriptedEngine({"2+3?": {"# 5": 1.0}}))


def test_it_runs_from_plain_code() -> None:
    assert run_sync(run_plan(PROBLEM, COT, setting(), seed=1)).answer == "5"


async def test_a_ledger_carries_spend_from_run_to_run() -> None:
    s = setting()
    ledger = Ledger(Budget(tokens=1000), s.engine.card)
    first = await run_plan(PROBLEM, COT, s, seed=1, ledger=ledger)
    second = await run_plan(PROBLEM, COT, s, seed=1, ledger=ledger)
    assert first.spend.policy_tokens == len("2+3?") + 1 + len("# 5") + 1
    assert second.spend.policy_tokens == len("# 5") + 1  # the prompt was paid for
    assert ledger.spend.policy_tokens == first.spend.policy_tokens + second.spend.policy_tokens


async def test_a_budget_and_a_ledger_contradict_each_other() -> None:
    s = setting()
    ledger = Ledger(Budget(tokens=9), s.engine.card)
    with pytest.raises(BudgetError, match="a run takes a budget or a ledger, got both"):
        await run_plan(PROBLEM, COT, s, seed=1, ledger=ledger, budget=Budget(tokens=5))


async def test_an_unknown_domain_is_an_error() -> None:
    with pytest.raises(GradingError, match="domain must be one of"):
        await run_plan(Problem("p", "f", "poetry", "2+3?"), COT, setting(), seed=1)


@pytest.mark.parametrize(("name", "value"), [("max_tokens", 0), ("max_steps", -1)])
def test_bad_limits_say_the_rule_and_the_value(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {value}"):
        Limits(**{name: value})
