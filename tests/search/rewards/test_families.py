from __future__ import annotations

import pytest

from search.errors import CheckpointError
from search.rewards.classifier import ClassifierReward
from search.rewards.families import family_of, open_reward, read_prm


async def test_the_config_chooses_the_classifier(prm):
    assert family_of(read_prm(prm)) == "classifier"
    reward = open_reward(prm)
    assert isinstance(reward, ClassifierReward)
    await reward.close()


def test_an_unknown_family_is_refused(prm):
    with pytest.raises(CheckpointError, match=r"a reward family must be one of .*, got 'oracle'"):
        open_reward(prm, family="oracle")
