"""Each published family against its authors' own way of computing it, step by step."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from search.rewards.families import open_reward
from search.rewards.protocol import Handle

QUESTION = "Janet has 3 ducks and buys 4 more. How many ducks does she have?"
SOLUTIONS = [
    ["Step 1: She starts with 3 ducks.", "Step 2: 3 + 4 = 7 ducks.", "The answer is: 7"],
    ["Step 1: She starts with 4 ducks.", "4 * 3 = 12", "so (12) $x$", "The answer is: 12 ducks."],
    ["7 ducks"],
    ["x" * 40, "7", "so: 3, 4; \\boxed{7}", "é ∑ 鸭"],
]


def _references():
    spec = importlib.util.spec_from_file_location("references", Path(__file__).with_name("references.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.REFERENCES


REFERENCES = _references()


@pytest.mark.parametrize("family", sorted(REFERENCES))
async def test_rewards_are_those_of_the_authors_code(family, published):
    expected = [REFERENCES[family](published[family], QUESTION, steps) for steps in SOLUTIONS]
    assert len({round(value, 4) for rewards in expected for value in rewards}) > 8
    async with open_reward(published[family]) as reward:
        whole = await asyncio.gather(*(reward.extend(reward.open(QUESTION), steps) for steps in SOLUTIONS))
        assert [len(scored.rewards) for scored in whole] == [len(steps) for steps in SOLUTIONS]
        for scored, rewards in zip(whole, expected, strict=True):
            assert scored.rewards == pytest.approx(rewards, abs=1e-4)
    async with open_reward(published[family]) as reward:
        handles = [reward.open(QUESTION) for _ in SOLUTIONS]
        for place in range(max(map(len, SOLUTIONS))):
            live = [i for i, steps in enumerate(SOLUTIONS) if place < len(steps)]
            scored = await asyncio.gather(*(reward.extend(handles[i], [SOLUTIONS[i][place]]) for i in live))
            for i, one in zip(live, scored, strict=True):
                handles[i] = one.handle
                assert one.rewards[0] == pytest.approx(expected[i][place], abs=1e-4)
        bare = Handle(QUESTION, tuple(SOLUTIONS[1][:2]))
        later = await reward.extend(bare, SOLUTIONS[1][2:])
        assert later.rewards == pytest.approx(expected[1][2:], abs=1e-4)


@pytest.mark.parametrize("family", sorted(REFERENCES))
async def test_the_tokens_are_those_of_the_whole_text(family, published):
    """What is fed piece by piece is, joined, what the authors' tokeniser makes of the whole."""
    async with open_reward(published[family]) as reward:
        prompt, _ = reward.count(QUESTION, [])
        scored = await reward.extend(reward.open(QUESTION), SOLUTIONS[0])
        assert scored.usage.physical_tokens == scored.handle.state.prefix.length + 3 * len(
            reward.convention.tail
        )
        assert prompt < scored.handle.state.prefix.length
