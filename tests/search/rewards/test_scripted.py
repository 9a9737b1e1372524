from __future__ import annotations

import pytest

from search.errors import RewardError
from search.rewards.scripted import ScriptedReward


async def test_the_script_sees_the_question_and_the_steps_so_far():
    seen = []
    reward = ScriptedReward(lambda question, steps: seen.append((question, steps)) or 0.5)
    first = await reward.extend(reward.open("q"), ["a", "b"])
    await reward.extend(first.handle, ["c"])
    assert seen == [("q", ("a",)), ("q", ("a", "b")), ("q", ("a", "b", "c"))]


async def test_rewards_outside_the_unit_interval_are_refused():
    reward = ScriptedReward(lambda question, steps: 1.5)
    with pytest.raises(RewardError, match=r"a reward must be in \[0, 1\], got 1.5"):
        await reward.extend(reward.open("q"), ["a"])
