"""Heads: rewards are what the policy's own hidden states say, and the folder says whose they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from search.engines.embedded import EmbeddedEngine
from search.engines.protocol import ChildFinished, Request, Sampling
from search.errors import CheckpointError, ModelsError
from search.loader import FolderLoader
from search.models_file import ModelsFile
from search.prompts import Prompting
from search.rewards.computed.head import HeadReward
from search.rewards.computed.head_spec import HeadSpec, is_head, read_head
from search.rewards.families import open_reward, read_prm
from search.rewards.served.http import HttpReward
from search.rewards.served.vllm import VllmReward
from search.sources import VllmPrm
from search.sync import run_sync

STEPS = ["1+2=3", "so 3", "# 3"]
MakeHead = Callable[..., Path]


def states_of(policy: Path, tokens: list[int]) -> torch.Tensor:
    """The last hidden states, by transformers."""
    with torch.inference_mode():
        model = AutoModelForCausalLM.from_pretrained(policy)
        return model(torch.tensor([tokens]), output_hidden_states=True).hidden_states[-1][0]


@pytest.mark.parametrize("inner", [0, 8])
async def test_rewards_are_read_from_the_states_where_steps_end(
    policy: Path, make_head: MakeHead, inner: int
) -> None:
    folder = make_head(policy, inner=inner, prompting=Prompting("so {question} ?", "\n"))
    with_engine = EmbeddedEngine.load(policy)
    prompt = list(with_engine.prompt("so what is 1 + 2 ?"))
    await with_engine.close()
    async with open_reward(folder) as reward:
        assert isinstance(reward, HeadReward)
        scored = await reward.extend(reward.open("what is 1 + 2"), STEPS)
        spelled = [reward.count("what is 1 + 2", [step])[1] for step in STEPS]
    tensors = load_file(folder / "head.safetensors")
    words = json.loads((policy / "tokenizer.json").read_text())["model"]["vocab"]
    tokens, ends = list(prompt), []
    for step in STEPS:
        # one token per character and word, as the tests' tokenizer has it
        tokens += [words[part] for part in {"so 3": ["so", " ", "3"]}.get(step, list(step))] + [words["\n"]]
        ends.append(len(tokens) - 1)
    assert spelled == [6, 4, 4]
    rows = (states_of(policy, tokens)[ends] - tensors["mean"]) * tensors["scale"]
    if inner:
        rows = torch.relu(rows @ tensors["first.weight"].T + tensors["first.bias"])
    values = (rows @ tensors["last.weight"].T + tensors["last.bias"])[:, 0]
    assert scored.rewards == pytest.approx(torch.sigmoid(1.5 * values - 0.25).tolist(), abs=1e-4)


def test_a_card_counts_the_policys_weights_and_the_heads(policy: Path, make_head: MakeHead) -> None:
    folder = make_head(policy)
    spec, made, source = read_head(folder)
    assert spec == HeadSpec.read(folder)
    own = sum(tensor.numel() for tensor in load_file(folder / "head.safetensors").values())
    assert made.card.parameters == source.card.parameters + own
    assert made.card.context == source.card.context
    assert made.card.name == folder.name
    other = make_head(policy, seed=5)
    assert read_prm(other).fingerprint != made.fingerprint
    assert is_head(folder)
    assert not is_head(policy)


async def test_a_loaded_policy_lends_its_weights(policy: Path, make_head: MakeHead) -> None:
    folder = make_head(policy)
    loader = FolderLoader({policy.name: policy}, {folder.name: folder})
    engine = loader.engine(policy.name)
    assert isinstance(engine, EmbeddedEngine)
    reward = loader.reward(folder.name)
    try:
        beside = (await reward.extend(reward.open("what is 1 + 2"), STEPS)).rewards
        # the engine goes on as if nobody read its weights
        request = Request(engine.prompt("what is 1 + 2"), 2, 8, Sampling(), seed=1)
        ended = [event async for event in engine.submit(request) if isinstance(event, ChildFinished)]
        assert len(ended) == 2
        async with HeadReward.load(folder) as alone:
            assert (await alone.extend(alone.open("what is 1 + 2"), STEPS)).rewards == beside
            assert alone.card == reward.card == loader.prm_card(folder.name)
    finally:
        await loader.close()


def test_where_the_policy_lies(policy: Path, make_head: MakeHead, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(make_head(policy), tmp_path / "head"))
    with pytest.raises(CheckpointError, match=r"needs the folder of .* say where it is with policy=FOLDER"):
        read_prm(folder)
    assert read_prm(folder, policy).path == folder
    run_sync(open_reward(folder, policy=policy).close())
    shutil.copytree(policy, tmp_path / policy.name)
    assert read_prm(folder).path == folder  # beside it


def test_a_head_reads_one_policy(
    policy: Path, make_checkpoint: Callable[..., Path], make_head: MakeHead, prm: Path
) -> None:
    folder = make_head(policy)
    with pytest.raises(CheckpointError, match="reads the states of one policy"):
        read_prm(folder, make_checkpoint(seed=9))
    with pytest.raises(CheckpointError, match="policy is for a head, got"):
        open_reward(prm, policy=policy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "planner"}, "must be a value head of version 1, got 'planner'"),
        ({"version": 2}, "must be a value head of version 1, got 'value head' of version 2"),
        ({"hidden": 32}, "hidden is its policy's hidden_size 64, got 32"),
        ({"prompt": {"template": "none", "delimiter": "\n"}}, "head.json must say what a head is"),
        ({"calibration": {}}, "head.json must say what a head is"),
    ],
)
def test_what_a_head_does_not_say_is_told(
    policy: Path, make_head: MakeHead, change: dict[str, object], message: str
) -> None:
    folder = make_head(policy)
    said = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(said | change))
    with pytest.raises(CheckpointError, match=message):
        read_prm(folder)


def test_weights_that_do_not_fit_are_told(policy: Path, make_head: MakeHead) -> None:
    folder = make_head(policy)
    tensors = load_file(folder / "head.safetensors")
    save_file({**tensors, "last.bias": torch.zeros(2)}, folder / "head.safetensors")
    with pytest.raises(CheckpointError, match=r"last\.bias must have shape \(1,\), got \(2,\)"):
        open_reward(folder)
    del tensors["first.bias"]
    save_file(tensors, folder / "head.safetensors")
    with pytest.raises(CheckpointError, match=r"the weights of a head must hold first\.bias, got none"):
        open_reward(folder)
    (folder / "head.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"a head needs head\.safetensors, got none"):
        read_prm(folder)


def test_elsewhere_there_are_no_states(policy: Path, make_head: MakeHead) -> None:
    folder = make_head(policy)
    for opened, who in (
        (lambda: VllmReward.load(folder), "vLLM"),
        (lambda: VllmPrm(folder).card(), "vLLM"),
        (lambda: HttpReward.connect("http://127.0.0.1:9", folder, patience=0.0), "a server"),
    ):
        with pytest.raises(CheckpointError, match=f"{who} gives no hidden states of a policy"):
            opened()


def test_a_models_file_says_whose_states(policy: Path, make_head: MakeHead, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(make_head(policy), tmp_path / "lost"))
    entry = f'[[policy]]\nname = "small"\nembedded = "{policy}"\n[[prm]]\nname = "lost"\n'
    (tmp_path / "m.toml").write_text(f'{entry}embedded = "lost"\npolicy = "small"\n')
    loader = ModelsFile.read(tmp_path / "m.toml").loader()
    assert loader.prm_card("lost").fingerprint == read_prm(folder, policy).fingerprint
    run_sync(loader.close())
    (tmp_path / "m.toml").write_text(f'{entry}vllm = "lost"\npolicy = "small"\n')
    with pytest.raises(ModelsError, match="policy is for a head in this process"):
        ModelsFile.read(tmp_path / "m.toml")
