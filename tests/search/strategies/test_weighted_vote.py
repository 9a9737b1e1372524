"""``weighted_vote``: the answer with the largest sum of scores."""

from __future__ import annotations

import math
from typing import Any

from search.plan import Plan
from search.run import run_plan


async def test_many_weak_votes_beat_few_strong_ones_and_the_reverse(bench: Any) -> None:
    plan = Plan.parse("weighted_vote(n=32)")
    for weight, answer in ((0.4, "6"), (0.1, "5")):
        b = bench(judge=lambda question, steps, weight=weight: weight if "6" in "".join(steps) else 0.5)
        result = await run_plan(b.problem, plan, b.setting, seed=1)
        sums = {
            each: math.fsum(c.step_rewards[-1] for c in result.candidates if c.answer == each)
            for each in ("5", "6")
        }
        assert result.answer == max(sums, key=lambda each: sums[each]) == answer
