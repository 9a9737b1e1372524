from __future__ import annotations

import json
import shutil

import pytest
from transformers import AutoModelForCausalLM

from search.checkpoint import read_checkpoint
from search.errors import CheckpointError


@pytest.fixture
def folder(policy, tmp_path):
    return shutil.copytree(policy, tmp_path / "copy")


def test_what_a_checkpoint_says_of_itself(policy, prm):
    found = read_checkpoint(policy)
    model = AutoModelForCausalLM.from_pretrained(policy)
    assert found.architecture == "Qwen2ForCausalLM"
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.context == found.card.context == 2048
    assert found.card.name == policy.name
    assert len(found.fingerprint) == 64
    assert read_checkpoint(prm).architecture == "Qwen2ForProcessRewardModel"


def test_the_fingerprint_is_of_what_matters(folder, policy):
    before = read_checkpoint(policy).fingerprint
    (folder / "README.md").write_text("a card")
    assert read_checkpoint(folder).fingerprint == before
    for name in ("chat_template.jinja", "tokenizer.json", "config.json", "model.safetensors"):
        file = folder / name
        kept = file.read_bytes()
        file.write_bytes(_changed(name, kept))
        assert read_checkpoint(folder).fingerprint != before, name
        file.write_bytes(kept)
    assert read_checkpoint(folder).fingerprint == before


def _changed(name, raw):
    return raw[:-1] + bytes([raw[-1] ^ 1]) if name == "model.safetensors" else raw + b"\n"


def test_a_missing_folder_and_missing_files_are_named(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"a checkpoint is a folder, got .*nowhere"):
        read_checkpoint(tmp_path / "nowhere")
    for name in ("tokenizer.json", "model.safetensors", "config.json"):
        (folder / name).unlink()
        with pytest.raises(CheckpointError, match=r"a checkpoint needs .*, got none in") as caught:
            read_checkpoint(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "architecture must be one of .*, got 'GPT2LMHeadModel'"),
        ({"architectures": None}, "architecture must be one of .*, got None"),
        ({"hidden_size": -1}, "must give a positive hidden_size, got -1"),
        ({"vocab_size": "many"}, "must give a positive vocab_size, got 'many'"),
    ],
)
def test_a_config_that_cannot_be_used(folder, change, message):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "must be JSON"), ("[]", "must hold an object, got list")]
)
def test_a_config_that_is_none(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(folder)


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_weights_that_were_cut_short(folder, cut):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="weights must be whole safetensors files, got"):
        read_checkpoint(folder)
