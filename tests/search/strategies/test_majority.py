"""``majority``: the most frequent answer, no PRM."""

from __future__ import annotations

from collections import Counter
from typing import Any

from search.plan import Plan
from search.run import run_plan


async def test_the_most_frequent_answer_wins(bench: Any) -> None:
    b = bench()
    result = await run_plan(b.problem, Plan.parse("majority(n=32)"), b.setting, seed=1)
    counts = Counter(c.answer for c in result.candidates if c.answer is not None)
    assert result.answer == counts.most_common(1)[0][0] == "6"
    assert len(b.engine.requests) == 1  # one request, one prefill
    assert b.reward.calls == []


async def test_the_earliest_of_the_winning_group_speaks(bench: Any) -> None:
    b = bench()
    result = await run_plan(b.problem, Plan.parse("majority(n=16)"), b.setting, seed=2)
    assert result.chosen == [c.answer for c in result.candidates].index(result.answer)


async def test_the_first_draws_do_not_depend_on_n(bench: Any) -> None:
    b = bench()
    few = await run_plan(b.problem, Plan.parse("majority(n=4)"), b.setting, seed=3)
    many = await run_plan(b.problem, Plan.parse("majority(n=16)"), b.setting, seed=3)
    assert many.candidates[:4] == few.candidates
