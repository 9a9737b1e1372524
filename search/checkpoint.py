"""A checkpoint: a Hugging Face model folder, checked before anything is loaded from it.

Reads ``config.json``, the headers of the ``*.safetensors`` files and the tokenizer's files; never
runs code from the folder and never unpickles. Knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.cards import ModelCard
from search.errors import CheckpointError

__all__ = [
    "ARCHITECTURES",
    "Checkpoint",
    "generation_defaults",
    "read_checkpoint",
    "read_config",
    "tensor_sizes",
]

#: the families this project can load; the last one is a PRM, the others are policies
ARCHITECTURES = ("Qwen2ForCausalLM", "LlamaForCausalLM", "Qwen2ForProcessRewardModel")

#: whatever of these exists is part of the fingerprint, beside config.json and the weights
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
_NEEDED = (
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "vocab_size",
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model folder that passed its checks.

    Parameters
    ----------
    path:
        The folder.
    config:
        ``config.json`` as read.
    architecture:
        One of ``ARCHITECTURES``.
    parameters:
        Number of weights stored (tied weights counted once; a PRM's unused language head left out).
    fingerprint:
        SHA-256 over config, weights and tokenizer files with the chat template.
    context:
        Longest sequence in tokens.
    """

    path: Path
    config: Mapping[str, Any] = field(hash=False)
    architecture: str
    parameters: int
    fingerprint: str
    context: int

    @property
    def weights(self) -> tuple[Path, ...]:
        """The safetensors files, in name order."""
        return tuple(sorted(self.path.glob("*.safetensors")))

    @property
    def card(self) -> ModelCard:
        """What budgets, logs and planners know of the model; it is called as its folder is."""
        return ModelCard(
            name=self.path.resolve().name,
            parameters=self.parameters,
            fingerprint=self.fingerprint,
            context=self.context,
        )


def read_checkpoint(path: str | Path, architectures: Collection[str] | None = ARCHITECTURES) -> Checkpoint:
    """Check a model folder and say what it is.

    Parameters
    ----------
    architectures:
        Those that will do; None where the model runs elsewhere and any does.

    Raises
    ------
    CheckpointError
        The folder or a needed file is missing, a file is damaged, or the architecture is unknown.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise CheckpointError(f"a checkpoint is a folder, got {str(folder)!r}, which is none")
    config = read_config(folder)
    architecture = _architecture(folder, config, architectures)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise CheckpointError(f"a checkpoint needs *.safetensors weights, got none in {str(folder)!r}")
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(f"a checkpoint needs tokenizer.json, got none in {str(folder)!r}")
    counts: dict[str, int] = {}
    for file in weights:
        counts.update(tensor_sizes(file))
    skip = not architecture.endswith("ForCausalLM")  # a reward model's language head is not used
    parameters = sum(size for name, size in counts.items() if not (skip and name == "lm_head.weight"))
    tokenizer = [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    fingerprint = _fingerprint([folder / "config.json", *weights, *tokenizer])
    context = int(config["max_position_embeddings"])
    return Checkpoint(
        path=folder,
        config=config,
        architecture=architecture,
        parameters=parameters,
        fingerprint=fingerprint,
        context=context,
    )


def generation_defaults(folder: str | Path) -> dict[str, Any]:
    """What a folder's ``generation_config.json`` says; empty where there is none. Raises CheckpointError."""
    file = Path(folder) / "generation_config.json"
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"generation_config.json must be JSON, got {str(file)!r}: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"generation_config.json must hold an object, got {str(file)!r}")
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a folder, with the sizes that every model needs. Raises CheckpointError."""
    file = folder / "config.json"
    if not file.is_file():
        raise CheckpointError(f"a checkpoint needs config.json, got none in {str(folder)!r}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"config.json must be JSON, got {str(file)!r}: {error}") from error
    if not isinstance(config, dict):
        kind = type(config).__name__
        raise CheckpointError(f"config.json must hold an object, got {kind} in {str(file)!r}")
    for name in _NEEDED:
        value = config.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CheckpointError(f"config.json must give a positive {name}, got {value!r} in {str(file)!r}")
    return config


def _architecture(folder: Path, config: Mapping[str, Any], known: Collection[str] | None) -> str:
    named = config.get("architectures") or [None]
    if known is not None and named[0] not in known:
        raise CheckpointError(
            f"architecture must be one of {', '.join(known)}, got {named[0]!r} in {str(folder)!r}"
        )
    return str(named[0])


def tensor_sizes(file: Path) -> dict[str, int]:
    """Number of elements of each tensor, from a safetensors header (8 bytes of length, then JSON).

    Raises CheckpointError for a file that is not whole.
    """
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(stream.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max(int(entry["data_offsets"][1]) for entry in tensors.values())
        if 8 + length + end != size:
            raise ValueError(f"{8 + length + end} bytes announced, {size} found")
        return {name: math.prod(entry["shape"]) for name, entry in tensors.items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise CheckpointError(
            f"weights must be whole safetensors files, got {str(file)!r}: {error}"
        ) from error


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.stat().st_size.to_bytes(8, "little"))
        with file.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
