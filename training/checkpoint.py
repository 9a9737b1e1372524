"""Half-done training on disk: written to a temporary name, synced, renamed; and finished folders.

A run that is killed at any moment goes on from its last checkpoint and ends with the same weights as
an unbroken one (batches are functions of the step; see ``training.lab.making.policy``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from search.errors import CheckpointError

__all__ = ["UNFINISHED", "load_progress", "load_weights", "save_progress", "write_json", "write_weights"]

#: the half-done run in a checkpoint folder
UNFINISHED = "training.pt"


def save_progress(path: Path, state: Mapping[str, Any]) -> None:
    """Replace the checkpoint at ``path`` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_progress(path: Path, recipe: str) -> dict[str, Any] | None:
    """The checkpoint at ``path``, None if there is none. One of another recipe is refused."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["recipe"] != recipe:
        raise CheckpointError(
            f"a run goes on with the recipe it began with, got another one in {path}; delete it to start anew"
        )
    return state


def write_weights(path: Path, tensors: Mapping[str, torch.Tensor], half: bool = False) -> None:
    """Write safetensors atomically, contiguous, in float32 (or bfloat16 when ``half``)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = torch.bfloat16 if half else torch.float32
    part = path.with_suffix(".part")
    save_file(
        {k: v.detach().to(kind).contiguous().clone() for k, v in tensors.items()}, part, {"format": "pt"}
    )
    part.replace(path)


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, in float32."""
    if not path.is_file():
        raise CheckpointError(f"a checkpoint folder needs model.safetensors, got none at {path}")
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, in a form that diffs well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    part.replace(path)
