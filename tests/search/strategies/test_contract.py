"""Every strategy keeps the contract (``search.testing.strategy``)."""

from __future__ import annotations

import pytest

from search.plan import Plan
from search.strategies.registry import STRATEGIES
from search.testing.strategy import StrategyContract

PLANS = [
    Plan.parse(text)
    for text in (
        "cot()",
        "majority(n=8)",
        "best_of_n(n=8, score=mean)",
        "weighted_vote(n=8, score=min)",
        "beam_search(n=8, width=4, prune=last, score=last)",
        "beam_search(n=4, width=2, prune=min, score=prod, vote=weighted)",
        "dvts(n=8, width=4, vote=majority)",
        "dvts(n=6, width=2, prune=mean)",
        "particle_filter(n=4, prune=min)",
        "lookahead(n=6, width=2, depth=2)",
        "rebase(n=6, score=mean, balance=1)",
        "adaptive_vote(n=8, stop=1, ahead=3)",
        "cascade(first=scripted: majority(n=6), tau=1, then=scripted: majority(n=2))",
        "aggregate(n=4)",
        "aggregate(n=4, how=merge)",
        "refine(rounds=2)",
        "refine(rounds=2, feedback=judge)",
        "program(n=4)",
    )
]


def test_every_strategy_has_a_plan_here() -> None:
    ours = {name for name in STRATEGIES if STRATEGIES.is_builtin(name)}
    assert {plan.strategy for plan in PLANS} == ours


class TestStrategies(StrategyContract):
    @pytest.fixture(params=PLANS, ids=str)
    def plan(self, request: pytest.FixtureRequest) -> Plan:
        plan: Plan = request.param
        return plan

    def drafts(self, plan: Plan) -> int:
        """Nothing is merged where nothing can be read."""
        return plan.n - (plan.numbers[-1:] == ("how=merge",))
