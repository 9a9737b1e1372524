"""The family of rewards that the contract suite runs against: add a member here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from search.rewards.classifier import ClassifierReward
from search.rewards.protocol import Reward
from search.rewards.scripted import ScriptedReward


@pytest.fixture(params=["scripted", "classifier"])
async def reward(request: pytest.FixtureRequest, prm: Path) -> AsyncIterator[Reward]:
    if request.param == "scripted":
        member: Reward = ScriptedReward(lambda q, steps: len(steps[-1]) % 13 / 13, context=512)
    else:
        member = ClassifierReward.load(prm)
    yield member
    await member.close()
