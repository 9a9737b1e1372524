"""``planner train head``: a value head for a policy, from a log of its samples.

States of the frozen policy at step ends (``training.heads.head_states``), values from the samples
(``training.heads.head_data``), a small head fitted with families left out and calibrated
(``training.heads.head_fit``), its figures (``training.heads.head_card``), and a folder that is loaded
wherever a PRM is named (``search.rewards.computed.head``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from search.checkpoint import Checkpoint, read_checkpoint
from search.errors import CheckpointError
from search.log.store import SearchLog
from search.prompts import Prompting
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.head import Written
from search.rewards.computed.head_spec import HeadSpec
from search.rewards.computed.pieces import Pieces
from training.checkpoint import write_json, write_weights
from training.heads.head_card import measure_head
from training.heads.head_data import Tried, read_tried, targets_of
from training.heads.head_fit import FittedHead, HeadRecipe, fit_head
from training.heads.head_states import read_states

__all__ = ["HeadWork", "Tell", "train_head", "write_head"]


class Tell(Protocol):
    """Hears how far a piece of the work is."""

    def __call__(self, name: str, done: int, total: int) -> None: ...


def _quiet(name: str, done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadWork:
    """What a head is made of, and how it is computed.

    Parameters
    ----------
    log:
        Holds the samples.
    policy:
        The folder of the policy whose states are read.
    samples:
        Whose samples they are, by the log's name; by default the policy's own.
    recipe:
        How the head is fitted.
    problems:
        Takes so many of the log's problems, drawn by the recipe's seed.
    threads, device, dtype:
        As ``search.rewards.computed.embedded.open_backbone`` takes them.
    command:
        What made it, for the card.
    """

    log: SearchLog
    policy: Path
    samples: str | None = None
    recipe: HeadRecipe = field(default_factory=HeadRecipe)
    problems: int | None = None
    threads: int = 1
    device: str = "cpu"
    dtype: str | None = None
    command: str = ""


def train_head(work: HeadWork, target: Path, *, tell: Tell = _quiet) -> dict[str, Any]:
    """Make a head and write its folder; the card.

    States are kept in ``target`` with ``.states`` added until the head is written, so a run that was stopped
    goes on. Raises CheckpointError for a target that exists and for a folder that holds no policy, LogError,
    TooLittleDataError.
    """
    if target.exists():
        raise CheckpointError(f"a head is written to a new folder, got {str(target)!r}, which exists")
    checkpoint = read_checkpoint(work.policy, None)
    if not checkpoint.architecture.endswith("ForCausalLM"):
        raise CheckpointError(f"a policy must be a causal language model, got {checkpoint.architecture}")
    name = work.samples or checkpoint.card.name
    card = work.log.manifest.policy(name)
    prompting = work.log.manifest.promptings.get(name, Prompting())
    tried = read_tried(
        work.log,
        name,
        Written(Pieces(checkpoint), prompting),
        context=checkpoint.context,
        delimiter=prompting.delimiter,
        limit=work.problems,
        seed=work.recipe.seed,
    )
    kept = target.with_name(f"{target.name}.states")
    states = _states(work, checkpoint, tried, kept, tell)
    fitted = fit_head(
        states,
        [targets_of(one, balanced=True) for one in tried],
        [targets_of(one, balanced=False) for one in tried],
        [one.problem.family for one in tried],
        work.recipe,
        progress=lambda done, total: tell("folds", done, total),
    )
    tell("card", 0, 1)
    about = {
        "command": work.command,
        "policy": checkpoint.card.name,
        "samples_of": name,
        "same_weights": prompting.card(checkpoint.card).fingerprint == card.fingerprint,
        "recipe": asdict(work.recipe),
        "epochs": fitted.epochs,
        "folds_of": "families" if fitted.by_family else "problems",
        "calibration": {"kind": "platt", **asdict(fitted.platt)},
    }
    made = {**about, **measure_head(tried, fitted.left_out, seed=work.recipe.seed)}
    tell("card", 1, 1)
    write_head(target, checkpoint, prompting, work.recipe, fitted, made)
    shutil.rmtree(kept)
    return made


def _states(
    work: HeadWork,
    checkpoint: Checkpoint,
    tried: list[Tried],
    kept: Path,
    tell: Callable[[str, int, int], None],
) -> list[torch.Tensor]:
    """The states, in as many threads as asked for."""
    before = torch.get_num_threads()
    torch.set_num_threads(work.threads)
    try:
        return read_states(
            tried,
            open_backbone(checkpoint, work.device, work.dtype),
            kept,
            fingerprint=f"{checkpoint.fingerprint} {work.dtype or 'float32'}",
            hidden=int(checkpoint.config["hidden_size"]),
            progress=lambda done, total: tell("states", done, total),
        )
    finally:
        torch.set_num_threads(before)


def write_head(
    target: Path,
    checkpoint: Checkpoint,
    prompting: Prompting,
    recipe: HeadRecipe,
    fitted: FittedHead,
    card: Mapping[str, Any],
    *,
    place: str | None = None,
) -> None:
    """The folder, under its name only when it is whole.

    ``place``: where the policy lies, relative to the folder; by default where it lies now.
    """
    part = target.with_name(f"{target.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    spec = HeadSpec(
        policy=checkpoint.card.name,
        fingerprint=checkpoint.fingerprint,
        place=place or os.path.relpath(checkpoint.path.resolve(), target.resolve()),
        prompting=prompting,
        hidden=int(checkpoint.config["hidden_size"]),
        inner=recipe.inner,
        slope=fitted.platt.slope,
        offset=fitted.platt.offset,
    )
    write_weights(part / "head.safetensors", fitted.tensors)
    write_json(part / "head.json", spec.to_json())
    write_json(part / "card.json", dict(card))
    part.rename(target)
