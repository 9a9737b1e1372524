"""The contract of rewards: every member of the family passes all of this."""

from __future__ import annotations

import asyncio

import pytest

from search.errors import RewardError
from search.rewards.http import HttpReward
from search.rewards.protocol import Handle, Reward
from search.rewards.vllm import VllmReward

QUESTION = "what is 1 + 2"
STEPS = ["1+2=3", "3+4=7", "so 7", "7*2=14", "# 14"]


def near(reward: Reward) -> float:
    """How far the floats of one prefix may be apart, asked for in another way."""
    return 1e-4 if isinstance(reward, VllmReward) else 1e-5


def again(reward: Reward, steps: list[str]) -> int:
    """Tokens processed again at most: vLLM caches whole blocks, so beside each step the rest of one."""
    return 31 * len(steps) if isinstance(reward, VllmReward) else 0


async def test_one_reward_in_the_unit_interval_per_step(reward):
    scored = await reward.extend(reward.open(QUESTION), STEPS)
    assert len(scored.rewards) == len(STEPS)
    assert all(0.0 <= value <= 1.0 for value in scored.rewards)
    assert len(set(scored.rewards)) > 1
    assert (scored.handle.question, scored.handle.steps) == (QUESTION, tuple(STEPS))


async def test_step_by_step_is_all_at_once(reward):
    whole = await reward.extend(reward.open(QUESTION), STEPS)
    handle, rewards = reward.open(QUESTION), []
    for step in STEPS:
        scored = await reward.extend(handle, [step])
        handle = scored.handle
        rewards += scored.rewards
    assert rewards == pytest.approx(whole.rewards, abs=near(reward))


async def test_a_handle_branches_and_stays_as_it_was(reward):
    trunk = (await reward.extend(reward.open(QUESTION), STEPS[:2])).handle
    left, right = await asyncio.gather(
        reward.extend(trunk, ["3+4=8"]), reward.extend(trunk, ["so 3 3 3 3", "# 3"])
    )
    assert trunk.steps == tuple(STEPS[:2])
    again = await reward.extend(trunk, ["3+4=8"])
    assert again.rewards == pytest.approx(left.rewards, abs=near(reward))
    fresh = await reward.extend(reward.open(QUESTION), [*STEPS[:2], "so 3 3 3 3", "# 3"])
    assert fresh.rewards[2:] == pytest.approx(right.rewards, abs=near(reward))


async def test_calls_made_together_are_calls_made_alone(reward):
    asked = [(f"what is {i}", STEPS[: 1 + i % 5]) for i in range(9)]
    together = await asyncio.gather(*(reward.extend(reward.open(q), steps) for q, steps in asked))
    for (question, steps), scored in zip(asked, together, strict=True):
        alone = await reward.extend(reward.open(question), steps)
        assert scored.rewards == pytest.approx(alone.rewards, abs=near(reward))


async def test_usage_is_what_count_said(reward):
    prompt, steps = reward.count(QUESTION, STEPS)
    scored = await reward.extend(reward.open(QUESTION), STEPS[:3])
    later = await reward.extend(scored.handle, STEPS[3:])
    for usage in (scored.usage, later.usage):
        assert usage.prompt_tokens == prompt
        assert usage.physical_tokens >= usage.logical_tokens > 0
    assert scored.usage.logical_tokens == reward.count(QUESTION, STEPS[:3])[1]
    assert scored.usage.logical_tokens + later.usage.logical_tokens == steps
    # behind a question some tokenizers give a step one token more or less than behind another step
    if not isinstance(reward, HttpReward):
        more = scored.usage.physical_tokens - prompt - scored.usage.logical_tokens
        assert abs(more) <= 1 + again(reward, STEPS[:3])
    # a server is sent the whole prefix once more, for some families at each step
    most = len(STEPS) * (prompt + steps) if isinstance(reward, HttpReward) else again(reward, STEPS[3:])
    assert later.usage.physical_tokens <= later.usage.logical_tokens + most


async def test_a_handle_without_state_is_scored_all_the_same(reward):
    whole = await reward.extend(reward.open(QUESTION), STEPS)
    later = await reward.extend(Handle(QUESTION, tuple(STEPS[:3])), STEPS[3:])
    assert later.rewards == pytest.approx(whole.rewards[3:], abs=near(reward))
    assert later.handle.steps == tuple(STEPS)
    assert later.usage.logical_tokens == reward.count(QUESTION, STEPS[3:])[1]


async def test_an_empty_step_is_a_step(reward):
    assert len((await reward.extend(reward.open(QUESTION), ["", "so"])).rewards) == 2


async def test_no_steps_and_too_many_are_errors(reward):
    with pytest.raises(RewardError, match="steps must not be empty"):
        await reward.extend(reward.open(QUESTION), [])
    context = reward.card.context
    with pytest.raises(RewardError, match=f"must fit into a context of {context} tokens, got"):
        await reward.extend(reward.open(QUESTION), ["1" * context])
    handle = (await reward.extend(reward.open(QUESTION), ["1" * (context // 2)])).handle
    with pytest.raises(RewardError, match="must fit into a context"):
        await reward.extend(handle, ["1" * (context // 2)])
    assert (await reward.extend(handle, ["1"])).rewards


async def test_a_caller_that_gives_up_disturbs_nobody(reward):
    impatient = asyncio.create_task(reward.extend(reward.open(QUESTION), STEPS))
    patient = asyncio.create_task(reward.extend(reward.open(QUESTION), STEPS))
    await asyncio.sleep(0)
    impatient.cancel()
    assert len((await patient).rewards) == len(STEPS)
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_closed_reward_refuses(reward):
    await reward.close()
    await reward.close()
    with pytest.raises(RewardError, match="closed"):
        await reward.extend(reward.open(QUESTION), STEPS)
