"""The contract of rewards: every member of the family passes all of this.

class TestMine(RewardContract):
    @pytest.fixture
    def reward(self) -> Reward:
        return Mine.load("folder")
"""

from __future__ import annotations

import asyncio

import pytest

from search.errors import RewardError
from search.rewards.protocol import Handle, Reward

__all__ = ["RewardContract"]

_QUESTION = "what is 1 + 2"
_STEPS = ["1+2=3", "3+4=7", "so 7", "7*2=14", "# 14"]


@pytest.mark.asyncio
class RewardContract:
    """Subclass it as ``Test...`` and give a ``reward``, fresh for each test."""

    @pytest.fixture
    def reward(self) -> Reward:
        """The reward that is tested."""
        raise NotImplementedError("a contract is given a fixture reward")

    def text_of(self, tokens: int) -> str:
        """A step of at least so many tokens, and of not many more."""
        return "1" * tokens

    def near(self, reward: Reward) -> float:
        """How far the floats of one prefix may be apart, asked for in another way."""
        return 1e-5

    def rescored(self, reward: Reward, steps: list[str], sent: int) -> int:
        """Tokens that may be processed again beside those of new steps; ``sent``: tokens of all so far."""
        return 0

    async def test_one_reward_in_the_unit_interval_per_step(self, reward: Reward) -> None:
        scored = await reward.extend(reward.open(_QUESTION), _STEPS)
        assert len(scored.rewards) == len(_STEPS)
        assert all(0.0 <= value <= 1.0 for value in scored.rewards)
        assert len(set(scored.rewards)) > 1
        assert (scored.handle.question, scored.handle.steps) == (_QUESTION, tuple(_STEPS))

    async def test_step_by_step_is_all_at_once(self, reward: Reward) -> None:
        whole = await reward.extend(reward.open(_QUESTION), _STEPS)
        handle, rewards = reward.open(_QUESTION), list[float]()
        for step in _STEPS:
            scored = await reward.extend(handle, [step])
            handle = scored.handle
            rewards += scored.rewards
        assert rewards == pytest.approx(whole.rewards, abs=self.near(reward))

    async def test_a_handle_branches_and_stays_as_it_was(self, reward: Reward) -> None:
        trunk = (await reward.extend(reward.open(_QUESTION), _STEPS[:2])).handle
        left, right = await asyncio.gather(
            reward.extend(trunk, ["3+4=8"]), reward.extend(trunk, ["so 3 3 3 3", "# 3"])
        )
        assert trunk.steps == tuple(_STEPS[:2])
        again = await reward.extend(trunk, ["3+4=8"])
        assert again.rewards == pytest.approx(left.rewards, abs=self.near(reward))
        fresh = await reward.extend(reward.open(_QUESTION), [*_STEPS[:2], "so 3 3 3 3", "# 3"])
        assert fresh.rewards[2:] == pytest.approx(right.rewards, abs=self.near(reward))

    async def test_calls_made_together_are_calls_made_alone(self, reward: Reward) -> None:
        asked = [(f"what is {i}", _STEPS[: 1 + i % 5]) for i in range(9)]
        together = await asyncio.gather(*(reward.extend(reward.open(q), steps) for q, steps in asked))
        for (question, steps), scored in zip(asked, together, strict=True):
            alone = await reward.extend(reward.open(question), steps)
            assert scored.rewards == pytest.approx(alone.rewards, abs=self.near(reward))

    async def test_usage_is_what_count_said(self, reward: Reward) -> None:
        prompt, steps = reward.count(_QUESTION, _STEPS)
        scored = await reward.extend(reward.open(_QUESTION), _STEPS[:3])
        later = await reward.extend(scored.handle, _STEPS[3:])
        for usage in (scored.usage, later.usage):
            assert usage.prompt_tokens == prompt
            assert usage.physical_tokens >= usage.logical_tokens > 0
        assert scored.usage.logical_tokens == reward.count(_QUESTION, _STEPS[:3])[1]
        assert scored.usage.logical_tokens + later.usage.logical_tokens == steps
        # behind a question some tokenizers give a step one token more or less than behind another step
        more = scored.usage.physical_tokens - prompt - scored.usage.logical_tokens
        assert abs(more) <= 1 + self.rescored(reward, _STEPS[:3], prompt + steps)
        assert later.usage.physical_tokens <= later.usage.logical_tokens + self.rescored(
            reward, _STEPS, prompt + steps
        )

    async def test_no_call_takes_more_than_it_needs(self, reward: Reward) -> None:
        handle = reward.open(_QUESTION)
        for steps in (_STEPS[:3], _STEPS[3:]):
            need = reward.need(handle, steps)
            scored = await reward.extend(handle, steps)
            assert 0 < scored.usage.logical_tokens <= need.tokens
            assert 0 <= scored.usage.written_tokens <= need.written <= need.tokens
            handle = scored.handle
        assert reward.worst(_QUESTION, 10).tokens > 10
        assert reward.fits(_QUESTION, _STEPS)
        assert not reward.fits(_QUESTION, [self.text_of(reward.card.context)])

    async def test_a_handle_without_state_is_scored_all_the_same(self, reward: Reward) -> None:
        whole = await reward.extend(reward.open(_QUESTION), _STEPS)
        later = await reward.extend(Handle(_QUESTION, tuple(_STEPS[:3])), _STEPS[3:])
        assert later.rewards == pytest.approx(whole.rewards[3:], abs=self.near(reward))
        assert later.handle.steps == tuple(_STEPS)
        assert later.usage.logical_tokens == reward.count(_QUESTION, _STEPS[3:])[1]

    async def test_an_empty_step_is_a_step(self, reward: Reward) -> None:
        assert len((await reward.extend(reward.open(_QUESTION), ["", "so"])).rewards) == 2

    async def test_no_steps_and_too_many_are_errors(self, reward: Reward) -> None:
        with pytest.raises(RewardError, match="steps must not be empty"):
            await reward.extend(reward.open(_QUESTION), [])
        context = reward.card.context
        with pytest.raises(RewardError, match=f"must fit into a context of {context} tokens, got"):
            await reward.extend(reward.open(_QUESTION), [self.text_of(context)])
        half = self.text_of(context // 2)
        handle = (await reward.extend(reward.open(_QUESTION), [half])).handle
        with pytest.raises(RewardError, match="must fit into a context"):
            await reward.extend(handle, [half])
        assert (await reward.extend(handle, ["1"])).rewards

    async def test_a_caller_that_gives_up_disturbs_nobody(self, reward: Reward) -> None:
        impatient = asyncio.create_task(reward.extend(reward.open(_QUESTION), _STEPS))
        patient = asyncio.create_task(reward.extend(reward.open(_QUESTION), _STEPS))
        await asyncio.sleep(0)
        impatient.cancel()
        assert len((await patient).rewards) == len(_STEPS)
        with pytest.raises(asyncio.CancelledError):
            await impatient

    async def test_a_closed_reward_refuses(self, reward: Reward) -> None:
        await reward.close()
        await reward.close()
        with pytest.raises(RewardError, match="closed"):
            await reward.extend(reward.open(_QUESTION), _STEPS)
