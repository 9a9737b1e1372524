"""``best_of_n``: the readable sample that the PRM scores highest."""

from __future__ import annotations

from typing import Any

import pytest

from search.plan import Plan
from search.run import run_plan
from search.scores import SCORES, score


@pytest.mark.parametrize("name", SCORES)
async def test_the_highest_score_wins(name: str, bench: Any) -> None:
    b = bench()
    result = await run_plan(b.problem, Plan.parse(f"best_of_n(n=16, score={name})"), b.setting, seed=1)
    assert result.chosen is not None
    chosen = result.candidates[result.chosen]
    assert score(chosen.step_rewards, name) == max(
        score(c.step_rewards, name) for c in result.candidates if c.answer is not None
    )
    assert result.answer == "5"


async def test_an_unreadable_sample_cannot_win(bench: Any) -> None:
    b = bench(judge=lambda question, steps: 1.0 if steps[0] == "hm" else 0.1)
    result = await run_plan(b.problem, Plan.parse("best_of_n(n=16)"), b.setting, seed=1)
    assert max(c.step_rewards[-1] for c in result.candidates if c.answer is None) == 1.0
    assert result.answer in ("5", "6")
