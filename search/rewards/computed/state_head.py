"""The head of a head's folder: a policy's hidden state to a calibrated reward."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from search.errors import CheckpointError
from search.rewards.computed.head_spec import HeadSpec
from search.rewards.computed.heads import Head

__all__ = ["StateHead"]


class StateHead(Head):
    """Standardised states through one linear layer, or a hidden one with ReLU; then Platt's calibration.

    Parameters
    ----------
    spec:
        Sizes and calibration.
    tensors:
        ``mean`` and ``scale`` [hidden]; ``first.weight`` [inner, hidden] and ``first.bias`` where there is a
        hidden layer; ``last.weight`` [1, inner or hidden] and ``last.bias`` [1].

    Raises CheckpointError for a tensor that is missing or of another shape.
    """

    def __init__(self, spec: HeadSpec, tensors: dict[str, Tensor]) -> None:
        self._tensors = tensors
        self._mean = self._take("mean", spec.hidden)
        self._scale = self._take("scale", spec.hidden)
        self._first: Tensor | None = None
        if spec.inner:
            self._first = self._take("first.weight", spec.inner, spec.hidden).t().contiguous()
            self._first_bias = self._take("first.bias", spec.inner)
        self._last = self._take("last.weight", 1, spec.inner or spec.hidden).t().contiguous()
        self._last_bias = self._take("last.bias", 1)
        self._slope, self._offset = spec.slope, spec.offset

    @classmethod
    def load(cls, folder: Path, spec: HeadSpec) -> StateHead:
        """The weights of a head's folder. Raises CheckpointError."""
        file = folder / "head.safetensors"
        try:
            tensors = load_file(file)
        except Exception as error:  # safetensors raises a type of its own that has no stable name
            raise CheckpointError(
                f"weights must be whole safetensors files, got {str(file)!r}: {error}"
            ) from error
        return cls(spec, tensors)

    def logits(self, rows: Tensor) -> Tensor:
        inner = (rows - self._mean) * self._scale
        if self._first is not None:
            inner = torch.addmm(self._first_bias, inner, self._first).relu_()
        return torch.addmm(self._last_bias, inner, self._last)

    def reward(self, logits: Tensor) -> Tensor:
        return (self._slope * logits[:, 0] + self._offset).sigmoid()

    def _take(self, name: str, *size: int) -> Tensor:
        tensor = self._tensors.get(name)
        if tensor is None:
            raise CheckpointError(f"the weights of a head must hold {name}, got none")
        if tuple(tensor.shape) != size:
            raise CheckpointError(f"{name} must have shape {size}, got {tuple(tensor.shape)}")
        return tensor.float()
