from __future__ import annotations

import asyncio
import gc
import json
import weakref

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2Model

from search.errors import CheckpointError, RewardError
from search.rewards.computed.classifier import SEPARATOR, ClassifierReward

QUESTION = "what is 1 + 2"
SOLUTIONS = [
    ["1+2=3", "# 3"],
    ["1+2=4", "4*5=20", "so 20", "# 20"],
    ["2+2=4"],
    ["so so so so so so so 1 2 3 4 5 6 7 8 9", "", "# 0"],
]


@torch.no_grad()
def reference(path, question, steps):
    """The plain computation: transformers, full prefix, no cache."""
    tensors = load_file(path / "model.safetensors")
    config = Qwen2Config.from_dict(json.loads((path / "config.json").read_text()))
    model = Qwen2Model(config).eval()
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    # not AutoTokenizer: for Qwen2 folders it puts its own splitting in place of the folder's
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
    )
    ids = tokenizer.encode(text, add_special_tokens=False)
    separator, places = tokenizer.convert_tokens_to_ids(SEPARATOR), []
    for step in steps:
        ids += [*tokenizer.encode(step, add_special_tokens=False), separator]
        places.append(len(ids) - 1)
    hidden = model(torch.tensor([ids])).last_hidden_state[0, places]
    inner = torch.relu(hidden @ tensors["score.0.weight"].T + tensors["score.0.bias"])
    return (inner @ tensors["score.2.weight"].T + tensors["score.2.bias"]).softmax(-1)[:, 1].tolist()


@pytest.fixture(params=[{}, {"hidden": 128, "heads": 4, "kv_heads": 2}], ids=["plain", "grouped queries"])
def path(request, make_checkpoint):
    return make_checkpoint(prm=True, seed=4, context=512, **request.param)


async def test_rewards_are_those_of_the_plain_computation(path):
    async with ClassifierReward.load(path) as reward:
        whole = await asyncio.gather(*(reward.extend(reward.open(QUESTION), steps) for steps in SOLUTIONS))
        for steps, scored in zip(SOLUTIONS, whole, strict=True):
            expected = reference(path, QUESTION, steps)
            assert scored.rewards == pytest.approx(expected, abs=1e-4)
            handle = reward.open(QUESTION)
            for step, value in zip(steps, expected, strict=True):
                one = await reward.extend(handle, [step])
                handle = one.handle
                assert one.rewards[0] == pytest.approx(value, abs=1e-4)


async def test_the_prompt_is_computed_once_per_question(prm):
    async with ClassifierReward.load(prm) as reward:
        together = await asyncio.gather(*(reward.extend(reward.open(QUESTION), steps) for steps in SOLUTIONS))
        extra = [scored.usage.physical_tokens - scored.usage.logical_tokens for scored in together]
        assert sorted(extra) == [0, 0, 0, reward.count(QUESTION, [])[0]]
        later = await reward.extend(reward.open(QUESTION), ["so"])
        assert later.usage.physical_tokens == later.usage.logical_tokens == 3 - 1


async def test_a_handle_holds_its_memory_only_while_it_lives(prm):
    async with ClassifierReward.load(prm) as reward:
        first = await reward.extend(reward.open(QUESTION), ["so"])
        second = await reward.extend(first.handle, ["so"])
        state = weakref.ref(first.handle.state.prefix.keys)
        del first
        gc.collect()
        assert state() is None
        assert (await reward.extend(second.handle, ["so"])).rewards


async def test_a_failure_is_heard_by_everyone_and_does_not_last(prm, monkeypatch):
    async with ClassifierReward.load(prm) as reward:
        with monkeypatch.context() as patched:
            patched.setattr(reward.backbone.decoder, "forward", None)
            ended = await asyncio.gather(
                *(reward.extend(reward.open(QUESTION), ["so"]) for _ in range(3)), return_exceptions=True
            )
        assert all(isinstance(error, RewardError) and "TypeError" in str(error) for error in ended)
        assert (await reward.extend(reward.open(QUESTION), ["so"])).rewards


def test_one_reward_serves_one_loop_after_another(prm):
    reward = ClassifierReward.load(prm)

    async def score():
        return (await reward.extend(reward.open(QUESTION), ["so"])).rewards

    assert asyncio.run(score()) == asyncio.run(score())
    asyncio.run(reward.close())


def test_load_refuses_what_is_no_classifier(policy, make_checkpoint):
    with pytest.raises(CheckpointError, match="must be a Qwen2ForProcessRewardModel, got Qwen2ForCausalLM"):
        ClassifierReward.load(policy)
    headless = make_checkpoint(prm=False, seed=9)
    config = json.loads((headless / "config.json").read_text())
    (headless / "config.json").write_text(
        json.dumps(config | {"architectures": ["Qwen2ForProcessRewardModel"]})
    )
    with pytest.raises(CheckpointError, match=r"must hold score\.0\.weight"):
        ClassifierReward.load(headless)
