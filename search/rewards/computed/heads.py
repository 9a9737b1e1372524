"""Heads: what turns the last hidden state at a token into a reward in [0, 1].

Small enough to be ours, so that nothing of a checkpoint's own code runs. Each takes hidden states
[S, hidden], after the final norm, float32 on the CPU, and gives S rewards. Weights come from
safetensors alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from search.checkpoint import Checkpoint
from search.errors import CheckpointError

__all__ = ["ChoiceHead", "ClassifierHead", "Head", "ValueHead", "read_rows", "read_tensor"]


#: rows come in multiples of this: a few rows, and those beyond whole vectors, take kernels of their own
_ROWS = 32


class Head(ABC):
    """Rewards from hidden states. A row's bits do not depend on how many rows there are."""

    @abstractmethod
    def logits(self, rows: Tensor) -> Tensor:
        """[S, classes] from [S, hidden]; rows are a multiple of ``_ROWS``."""

    @abstractmethod
    def reward(self, logits: Tensor) -> Tensor:
        """[S] rewards from [S, classes]."""

    def rewards(self, states: Tensor) -> list[float]:
        """Rewards of hidden states [S, hidden]."""
        missing = -len(states) % _ROWS
        rows = torch.cat([states, states[:1].expand(missing, -1)]) if missing else states
        return [float(value) for value in self.reward(self.logits(rows))[: len(states)].tolist()]


class ClassifierHead(Head):
    """Linear, ReLU, Linear to two classes; the probability of the second (Qwen2.5-Math-PRM)."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        hidden = int(checkpoint.config["hidden_size"])
        self._first = read_tensor(checkpoint, "score.0.weight", hidden, hidden).t().contiguous()
        self._first_bias = read_tensor(checkpoint, "score.0.bias", hidden)
        self._second = read_tensor(checkpoint, "score.2.weight", 2, hidden).t().contiguous()
        self._second_bias = read_tensor(checkpoint, "score.2.bias", 2)

    def logits(self, rows: Tensor) -> Tensor:
        inner = torch.addmm(self._first_bias, rows, self._first).relu_()
        return torch.addmm(self._second_bias, inner, self._second)

    def reward(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)[:, 1]


class ChoiceHead(Head):
    """The language head's logits of two tokens; the probability of the good one of them."""

    def __init__(self, checkpoint: Checkpoint, good: int, bad: int) -> None:
        tied = bool(checkpoint.config.get("tie_word_embeddings", False))
        name = "model.embed_tokens.weight" if tied else "lm_head.weight"
        self._weight = read_rows(checkpoint, name, (good, bad)).t().contiguous()

    def logits(self, rows: Tensor) -> Tensor:
        return rows @ self._weight

    def reward(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)[:, 0]


class ValueHead(Head):
    """One linear output and the logistic function. ``bias`` names no tensor for heads without one."""

    def __init__(self, checkpoint: Checkpoint, weight: str, bias: str | None) -> None:
        hidden = int(checkpoint.config["hidden_size"])
        self._weight = read_tensor(checkpoint, weight, 1, hidden).t().contiguous()
        self._bias = torch.zeros(1) if bias is None else read_tensor(checkpoint, bias, 1)

    def logits(self, rows: Tensor) -> Tensor:
        return torch.addmm(self._bias, rows, self._weight)

    def reward(self, logits: Tensor) -> Tensor:
        return logits[:, 0].sigmoid()


def read_tensor(checkpoint: Checkpoint, name: str, *size: int) -> Tensor:
    """One tensor in float32. Raises CheckpointError when it is missing or of another size."""
    tensor = _find(checkpoint, name, None)
    if tuple(tensor.shape) != size:
        raise CheckpointError(f"{name} must have shape {size}, got {tuple(tensor.shape)}")
    return tensor.float()


def read_rows(checkpoint: Checkpoint, name: str, rows: Sequence[int]) -> Tensor:
    """Some rows of a matrix [vocabulary, hidden], in float32, the others left on the disk."""
    tensor = _find(checkpoint, name, rows)
    hidden = int(checkpoint.config["hidden_size"])
    if tuple(tensor.shape) != (len(rows), hidden):
        raise CheckpointError(f"{name} must have rows of {hidden}, got {tuple(tensor.shape)}")
    return tensor.float()


def _find(checkpoint: Checkpoint, name: str, rows: Sequence[int] | None) -> Tensor:
    for file in checkpoint.weights:
        opened: Any = safe_open(file, framework="pt")
        with opened as tensors:
            if name in tensors.keys():  # noqa: SIM118  (no mapping, only a method of that name)
                if rows is None:
                    found: Tensor = tensors.get_tensor(name)
                    return found
                matrix = tensors.get_slice(name)
                return torch.cat([matrix[row : row + 1] for row in rows])
    raise CheckpointError(f"the weights must hold {name}, got none")
