"""Tiny random checkpoints, written as transformers and tokenizers write them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

# the campaign that several rooms run, by its name
sys.path.insert(0, str(Path(__file__).parent))

SPECIAL = ["<pad>", "<eos>", "<unk>", "<extra_0>", "<user>", "<model>"]
WORDS = [*SPECIAL, "\n", " ", *"0123456789+-*=?#", "what", "is", "the", "so"]
TEMPLATE = (
    "{% for message in messages %}<user>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<model>{% endif %}"
)

MakeCheckpoint = Callable[..., Path]


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n| |[0-9]|[a-z]+|."), "isolated")
    words.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<extra_0>", "<user>", "<model>"],
    )
    fast.chat_template = TEMPLATE
    return fast


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> MakeCheckpoint:
    """Write a random checkpoint; ``prm=True`` gives it a score head in place of the language head."""

    def make(
        *,
        family: str = "qwen2",
        hidden: int = 64,
        heads: int = 2,
        kv_heads: int = 2,
        layers: int = 2,
        context: int = 2048,
        tied: bool = True,
        prm: bool = False,
        seed: int = 0,
    ) -> Path:
        path = tmp_path_factory.mktemp("prm" if prm else "policy")
        torch.manual_seed(seed)
        sizes = {
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": 2 * hidden,
            "vocab_size": len(WORDS),
            "max_position_embeddings": context,
            "tie_word_embeddings": tied,
            "bos_token_id": None,
            "eos_token_id": 1,
            "pad_token_id": 0,
        }
        if family == "qwen2":
            model = Qwen2ForCausalLM(Qwen2Config(**sizes))
        else:
            model = LlamaForCausalLM(LlamaConfig(**sizes))
        for parameter in model.parameters():  # norms and biases too: what is all ones hides mistakes
            parameter.data.normal_(0.0, 0.15).add_(1.0 if parameter.dim() == 1 else 0.0)
        # tied rows of small norm are rarely written: solutions of this policy go on for long
        model.model.embed_tokens.weight.data[: len(SPECIAL)] *= 0.1
        model.save_pretrained(path)
        _tokenizer().save_pretrained(path)
        if prm:
            tensors = load_file(path / "model.safetensors")
            for name, size in (("0.weight", (hidden, hidden)), ("0.bias", (hidden,))):
                tensors[f"score.{name}"] = torch.randn(size) * 0.3
            for name, size in (("2.weight", (2, hidden)), ("2.bias", (2,))):
                tensors[f"score.{name}"] = torch.randn(size) * 0.3
            save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
            config = json.loads((path / "config.json").read_text())
            config |= {"architectures": ["Qwen2ForProcessRewardModel"], "num_labels": 2}
            (path / "config.json").write_text(json.dumps(config))
        return path

    return make


@pytest.fixture(scope="session")
def policy(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint()


@pytest.fixture(scope="session")
def prm(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint(prm=True, seed=1, context=512)
