"""Which family a checkpoint belongs to, by its own config, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from search.checkpoint import Checkpoint
from search.errors import CheckpointError
from search.loader import FolderLoader
from search.rewards.computed.causal import MathShepherdReward, RlhflowReward
from search.rewards.computed.classifier import ClassifierReward
from search.rewards.computed.head import HeadReward
from search.rewards.computed.orm import OutcomeReward
from search.rewards.computed.value_head import ValueHeadReward
from search.rewards.families import FAMILIES, family_of, open_reward, read_prm
from search.rewards.family import PRM_FAMILIES, Opening, PrmFamily
from search.rewards.protocol import Reward
from search.rewards.scripted import ScriptedReward

MEMBERS = {
    "head": ("head", HeadReward),
    "qwen": ("classifier", ClassifierReward),
    "value_head": ("value_head", ValueHeadReward),
    "orm": ("orm", OutcomeReward),
    "rlhflow": ("rlhflow", RlhflowReward),
    "math_shepherd": ("math_shepherd", MathShepherdReward),
}


def changed(folder: Path, target: Path, **config: object) -> Path:
    """A copy of a checkpoint whose config says something else."""
    shutil.copytree(folder, target)
    known = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(known | config))
    return target


@pytest.mark.parametrize("name", MEMBERS)
async def test_the_config_chooses_the_family(name: str, published: dict[str, Path]) -> None:
    family, kind = MEMBERS[name]
    checkpoint = read_prm(published[name])
    assert family_of(checkpoint) == family
    async with open_reward(published[name]) as reward:
        assert isinstance(reward, kind)
        assert reward.card == checkpoint.card


def test_every_family_is_tested_here() -> None:
    assert {family for family, _ in MEMBERS.values()} == set(FAMILIES)


async def test_the_config_chooses_the_classifier_of_the_lab(prm: Path) -> None:
    assert family_of(read_prm(prm)) == "classifier"
    async with open_reward(prm) as reward:
        assert isinstance(reward, ClassifierReward)


async def test_a_campaign_opens_every_family(published: dict[str, Path]) -> None:
    loader = FolderLoader({}, published)
    try:
        for name, (_, kind) in MEMBERS.items():
            assert isinstance(loader.reward(name), kind)
            assert loader.prm_card(name) == loader.reward(name).card
    finally:
        await loader.close()


def test_an_unknown_architecture_is_named(published: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(published["qwen"], tmp_path / "odd", architectures=["GemmaForRewardModel"])
    for read in (read_prm, open_reward):
        with pytest.raises(CheckpointError, match=r"must be one of Qwen2.*, got 'GemmaForRewardModel'"):
            read(folder)
    folder = changed(published["qwen"], tmp_path / "none", architectures=[])
    with pytest.raises(CheckpointError, match=r"must be one of .*, got None"):
        open_reward(folder)


async def test_a_family_of_a_plug_in_is_asked_first(published: dict[str, Path], tmp_path: Path) -> None:
    class Short(PrmFamily):
        name = "short_of_a_test"
        architectures = ("Qwen2ForProcessRewardModel", "ShortForRewards")

        @classmethod
        def takes(cls, checkpoint: Checkpoint) -> bool:
            return super().takes(checkpoint) and checkpoint.path.name != "qwen"

        @classmethod
        def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
            return ScriptedReward(lambda q, steps: 1 / (opening.threads + len(steps[-1])), name="short")

    own = changed(published["qwen"], tmp_path / "own", architectures=["ShortForRewards"])
    ours = changed(published["qwen"], tmp_path / "qwen")
    with pytest.raises(CheckpointError, match="must be one of Qwen2"):
        read_prm(own)
    PRM_FAMILIES.register(Short)
    try:
        assert family_of(read_prm(own)) == "short_of_a_test"
        assert family_of(read_prm(ours)) == "classifier"
        async with open_reward(own, threads=2) as reward:
            assert (await reward.extend(reward.open("q"), ["ab"])).rewards == (0.25,)
        async with open_reward(published["rlhflow"], family="short_of_a_test") as reward:
            assert reward.card.name == "short"
    finally:
        PRM_FAMILIES.unregister("short_of_a_test")
    with pytest.raises(CheckpointError, match="must be one of Qwen2"):
        read_prm(own)


def test_an_unknown_family_is_refused(prm: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a reward family must be one of .*, got 'oracle'"):
        open_reward(prm, family="oracle")


def test_a_family_that_does_not_fit_is_refused(published: dict[str, Path]) -> None:
    for name, family, message in (
        ("orm", "rlhflow", "must be a causal language model, got Qwen2ForSequenceClassification"),
        ("orm", "math_shepherd", "must be a causal language model, got Qwen2ForSequenceClassification"),
        ("rlhflow", "classifier", "must be a Qwen2ForProcessRewardModel, got LlamaForCausalLM"),
        ("math_shepherd", "rlhflow", "needs a chat template, got none"),
        ("rlhflow", "value_head", r"must hold v_head\.summary\.weight, got none"),
    ):
        with pytest.raises(CheckpointError, match=message):
            open_reward(published[name], family=family)


def test_an_outcome_reward_has_one_label(published: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(published["orm"], tmp_path / "three", id2label={"0": "a", "1": "b", "2": "c"})
    with pytest.raises(CheckpointError, match="must have num_labels 1, got 3"):
        open_reward(folder)


def test_a_window_that_slides_ends_the_context(make_prm, tmp_path: Path) -> None:
    folder = make_prm("math_shepherd", sliding_window=128)
    assert read_prm(folder).context == 128
    assert read_prm(changed(folder, tmp_path / "off", use_sliding_window=False)).context == 512
