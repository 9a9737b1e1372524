"""Run a plan on a problem: the one door to all strategies."""

from __future__ import annotations

from collections.abc import Sequence

from search.budget import UNLIMITED, Budget
from search.errors import BudgetError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Result
from search.strategies.protocol import Setting

__all__ = ["run_plan"]


async def run_plan(
    problem: Problem,
    plan: Plan,
    setting: Setting,
    *,
    seed: int,
    budget: Budget = UNLIMITED,
    prior: Sequence[Candidate] = (),
    ledger: Ledger | None = None,
) -> Result:
    """Run ``plan`` on ``problem``.

    Parameters
    ----------
    seed:
        Of this run (``search.seeds.seed_of``).
    budget:
        Caps this run alone; a ledger is made for it.
    prior:
        Candidates drawn before; see ``Strategy.run``.
    ledger:
        A ledger that already carries spend (a probe's) and holds the request's budget, instead of
        ``budget``. ``Result.spend`` is what this run added to it.

    Raises BudgetError when both are given, PlanError for a plan that the setting cannot run (before anything
    is spent), GradingError for an unknown domain, EngineError when the policy fails, RewardError (and no
    EngineError) when the PRM does.
    """
    if ledger is None:
        ledger = Ledger(budget, setting.engine.card, None if setting.reward is None else setting.reward.card)
    elif budget is not UNLIMITED:
        raise BudgetError(f"a run takes a budget or a ledger, got both: {budget} and {ledger.budget}")
    return await plan.described.start(problem, setting, ledger, seed=seed, prior=prior)
