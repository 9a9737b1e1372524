"""``cot``: one greedy solution."""

from __future__ import annotations

from typing import Any

from search.plan import Plan
from search.run import run_plan

COT = Plan.parse("cot()")


async def test_it_takes_the_likeliest_solution_whatever_the_seed(bench: Any) -> None:
    b = bench()
    results = [await run_plan(b.problem, COT, b.setting, seed=seed) for seed in range(4)]
    assert {result.candidates[0].text for result in results} == {"2+3=6\nso\n# 6"}
    assert [request.n for request in b.engine.requests] == [1] * 4
    assert b.reward.calls == []


async def test_with_prior_candidates_nothing_is_drawn(bench: Any) -> None:
    b = bench()
    prior = (await run_plan(b.problem, Plan.parse("majority(n=5)"), b.setting, seed=1)).candidates
    spent = b.engine.generated
    result = await run_plan(b.problem, COT, b.setting, seed=1, prior=prior)
    assert (result.candidates, b.engine.generated) == (prior, spent)
    assert result.spend.policy_tokens == 0
