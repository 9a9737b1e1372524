"""Every reward keeps the contract (``search.testing.reward``); the members are in ``conftest.py``."""

from __future__ import annotations

import pytest

from search.rewards.implicit import ImplicitReward
from search.rewards.protocol import Reward
from search.rewards.served.http import HttpReward
from search.rewards.served.vllm import VllmReward
from search.testing.reward import RewardContract


class TestRewards(RewardContract):
    @pytest.fixture
    def reward(self, member: Reward) -> Reward:
        return member

    def near(self, reward: Reward) -> float:
        return 1e-4 if isinstance(reward, VllmReward) else 1e-5

    def rescored(self, reward: Reward, steps: list[str], sent: int) -> int:
        if isinstance(reward, ImplicitReward):
            return sent + 1  # a server reads the whole anew, and writes a token
        if isinstance(reward, VllmReward):
            return 31 * len(steps)  # it caches whole blocks, so beside each step the rest of one
        # a server is sent the whole prefix once more, for some families at each step
        return len(steps) * sent if isinstance(reward, HttpReward) else 0
