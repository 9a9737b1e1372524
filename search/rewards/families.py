"""Reward families: which one a checkpoint belongs to, by its own config, and how to open it.

Knows nothing of torch until a model is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from search.checkpoint import Checkpoint, read_checkpoint
from search.errors import CheckpointError, MissingExtraError
from search.rewards.protocol import Reward

__all__ = ["FAMILIES", "family_of", "open_reward", "read_prm"]


def read_prm(path: str | Path) -> Checkpoint:
    """Check the folder of a reward model and say what it is, without loading weights.

    Raises
    ------
    CheckpointError
        The folder or a needed file is missing or damaged, or no family takes its architecture.
    """
    return read_checkpoint(path)


def family_of(checkpoint: Checkpoint) -> str:
    """One of ``FAMILIES``. Raises CheckpointError when none takes the checkpoint."""
    if checkpoint.architecture == "Qwen2ForProcessRewardModel":
        return "classifier"
    raise CheckpointError(
        f"a reward model must be one of {', '.join(FAMILIES)}, got {checkpoint.architecture}"
    )


def open_reward(
    path: str | Path, *, threads: int = 1, prompt_bytes: int = 64 << 20, family: str | None = None
) -> Reward:
    """Open a reward model's folder.

    Parameters
    ----------
    path:
        A folder with ``config.json``, ``*.safetensors`` and ``tokenizer.json``.
    threads:
        Threads torch computes with.
    prompt_bytes:
        Most memory for keys and values of prompts.
    family:
        One of ``FAMILIES``; by default what the checkpoint's config says.

    Raises
    ------
    CheckpointError
        As ``read_prm``, and where the weights do not fit the family.
    MissingExtraError
        torch or transformers is not installed.
    """
    chosen = family_of(read_prm(path)) if family is None else family
    if chosen not in FAMILIES:
        raise CheckpointError(f"a reward family must be one of {', '.join(FAMILIES)}, got {chosen!r}")
    try:
        return FAMILIES[chosen](Path(path), threads, prompt_bytes)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"reward models need the lab extra, got no {error.name}: pip install 'test-time-planner[lab]'"
        ) from error


def _classifier(path: Path, threads: int, prompt_bytes: int) -> Reward:
    from search.rewards.classifier import ClassifierReward

    return ClassifierReward.load(path, threads=threads, prompt_bytes=prompt_bytes)


#: the name of each family -> what opens a folder of it (folder, threads, bytes for prompts)
FAMILIES: dict[str, Callable[[Path, int, int], Reward]] = {"classifier": _classifier}
