"""Rewards as the authors of each family compute them: whole text, plain transformers, no cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    LlamaForCausalLM,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
)

__all__ = ["REFERENCES"]


def _tokenizer(path: Path) -> PreTrainedTokenizerFast:
    # not AutoTokenizer: for Qwen2 folders it puts its own splitting in place of the folder's
    return PreTrainedTokenizerFast.from_pretrained(path)


def _qwen2(path: Path) -> Qwen2ForCausalLM:
    """The weights under the head, from a config that names a class which transformers lacks."""
    config = Qwen2Config.from_dict(json.loads((path / "config.json").read_text()))
    model = Qwen2ForCausalLM(config).eval()
    model.load_state_dict(load_file(path / "model.safetensors"), strict=False)
    return model


@torch.no_grad()
def qwen(path: Path, question: str, steps: Sequence[str]) -> list[float]:
    """The card of Qwen2.5-Math-PRM-7B: system prompt, steps joined by the separator, one after the last."""
    tokenizer, tensors = _tokenizer(path), load_file(path / "model.safetensors")
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    ids = torch.tensor([tokenizer.encode(text)])
    hidden = _qwen2(path).model(ids).last_hidden_state
    inner = torch.relu(hidden @ tensors["score.0.weight"].T + tensors["score.0.bias"])
    logits = inner @ tensors["score.2.weight"].T + tensors["score.2.bias"]
    mask = ids == tokenizer.encode("<extra_0>")[0]
    return logits.softmax(-1)[mask][:, 1].tolist()


@torch.no_grad()
def math_shepherd(path: Path, question: str, steps: Sequence[str]) -> list[float]:
    """The card of math-shepherd-mistral-7b-prm: logits of ``+`` and ``-`` wherever the tag stands."""
    tokenizer = _tokenizer(path)
    candidates = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    text = f"{question} " + "\n".join(f"{step} ки" for step in steps)
    ids = torch.tensor([tokenizer.encode(text)])
    scores = MistralForCausalLM.from_pretrained(path)(ids).logits[:, :, candidates].softmax(-1)[:, :, 0]
    return scores[ids == tag].tolist()


@torch.no_grad()
def rlhflow(path: Path, question: str, steps: Sequence[str]) -> list[float]:
    """math-rm/prm_evaluate.py: one more turn at a time, read at the third token from the end."""
    tokenizer, model = _tokenizer(path), LlamaForCausalLM.from_pretrained(path)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    conversation, rewards = [], []
    for place, step in enumerate(steps):
        content = f"{question} {step}" if place == 0 else step
        conversation += [{"role": "user", "content": content}, {"role": "assistant", "content": "+"}]
        ids = tokenizer.apply_chat_template(conversation, return_tensors="pt", return_dict=True)["input_ids"]
        rewards.append(model(ids).logits[0, -3, candidates].softmax(-1)[0].item())
    return rewards


@torch.no_grad()
def value_head(path: Path, question: str, steps: Sequence[str]) -> list[float]:
    """skywork-o1-prm-inference: prompt and steps encoded apart, the head at the line breaks."""
    tokenizer, tensors = _tokenizer(path), load_file(path / "model.safetensors")
    ids = tokenizer.encode(tokenizer.bos_token + question + "\n")
    flags = [0] * len(ids)
    for step in steps:
        new = [*tokenizer.encode(step), tokenizer.encode("\n")[-1]]
        ids += new
        flags += [0] * (len(new) - 1) + [1]
    out = _qwen2(path)(torch.tensor([ids]), output_hidden_states=True)
    value = out.hidden_states[-1] @ tensors["v_head.summary.weight"].T + tensors["v_head.summary.bias"]
    return value[0, torch.tensor(flags) == 1, 0].sigmoid().tolist()


@torch.no_grad()
def orm(path: Path, question: str, steps: Sequence[str]) -> list[float]:
    """Each prefix as a solution of its own, through transformers' own classifier."""
    tokenizer, model = _tokenizer(path), Qwen2ForSequenceClassification.from_pretrained(path)
    rewards = []
    for end in range(1, len(steps) + 1):
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": "\n".join(steps[:end])},
        ]
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
        rewards.append(model(ids).logits[0, 0].sigmoid().item())
    return rewards


REFERENCES = {
    "qwen": qwen,
    "math_shepherd": math_shepherd,
    "rlhflow": rlhflow,
    "value_head": value_head,
    "orm": orm,
}
