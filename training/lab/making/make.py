"""Makes one shipped model from nothing: what it begins from, its labels, its weights, its card.

Everything goes on where it was stopped. Label files and half-done label parts lie in a work folder
beside the models, since nobody needs them once the PRMs are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from search.engines.embedded import EmbeddedEngine
from search.errors import CheckpointError
from search.rewards.computed.classifier import ClassifierReward
from training.lab.making.card import describe_policy, describe_prm
from training.lab.making.loop import Training
from training.lab.making.policy import POLICIES, train_policy
from training.lab.making.prm import PRMS, train_prm
from training.lab.making.step_labels import LABELS, label_steps
from training.lab.vocabulary import Vocabulary

__all__ = ["make_labels", "make_policy", "make_prm"]

#: called with (what is being done, done, total, a word on it)
Tell = Callable[[str, int, int, str], None]


def _how(name: str, threads: int, device: str, tell: Tell) -> Training:
    """A training that tells how far it is."""

    def progress(step: int, steps: int, loss: float) -> None:
        tell(name, step, steps, f"loss {loss:.4f}")

    return Training(threads, device, progress=progress)


def make_policy(size: str, models: Path, *, threads: int, device: str, tell: Tell) -> Path:
    """Train ``lab-policy-SIZE`` unless it is there, measure it, write its card. Returns its folder.

    Raises CheckpointError for an unknown size.
    """
    if size not in POLICIES:
        raise CheckpointError(f"a policy's size must be one of {', '.join(POLICIES)}, got {size!r}")
    recipe = POLICIES[size]
    folder = models / recipe.name
    if not (folder / "model.safetensors").exists():
        train_policy(
            recipe,
            folder,
            how=_how(recipe.name, threads, device, tell),
        )
    if not (folder / "card.json").exists():
        tell(f"{recipe.name} card", 0, 1, "measuring")
        describe_policy(folder, EmbeddedEngine.load(folder, threads=threads), f"planner train policy {size}")
        tell(f"{recipe.name} card", 1, 1, "")
    return folder


def make_labels(name: str, models: Path, work: Path, *, threads: int, device: str, tell: Tell) -> Path:
    """Label the steps of a policy's samples unless that is done. Returns the label file."""
    if name not in LABELS:
        raise CheckpointError(f"labels must be one of {', '.join(LABELS)}, got {name!r}")
    recipe = LABELS[name]
    path = work / f"labels-{name}.jsonl.gz"
    if not path.exists():
        size = next(size for size, policy in POLICIES.items() if policy.name == recipe.policy)
        policy = make_policy(size, models, threads=threads, device=device, tell=tell)

        async def label() -> None:
            async with EmbeddedEngine.load(policy, threads=threads) as engine:
                await label_steps(
                    engine,
                    recipe,
                    path,
                    newline=Vocabulary.of_lab().ids["\n"],
                    progress=lambda done, total: tell(f"labels of {recipe.policy}", done, total, "problems"),
                )

        asyncio.run(label())
    return path


def make_prm(name: str, models: Path, work: Path, *, threads: int, device: str, tell: Tell) -> Path:
    """Train ``lab-prm-NAME`` unless it is there, with all it needs, and write its card.

    Raises CheckpointError for an unknown name.
    """
    if name not in PRMS:
        raise CheckpointError(f"a PRM must be one of {', '.join(PRMS)}, got {name!r}")
    recipe = PRMS[name]
    folder = models / recipe.name
    if not (folder / "model.safetensors").exists():
        for size, policy in POLICIES.items():
            if policy.name == recipe.start:
                make_policy(size, models, threads=threads, device=device, tell=tell)
        for other, prm in PRMS.items():
            if prm.name == recipe.start:
                make_prm(other, models, work, threads=threads, device=device, tell=tell)
        labels = (
            make_labels(recipe.labels, models, work, threads=threads, device=device, tell=tell)
            if recipe.labels
            else None
        )
        train_prm(
            recipe,
            folder,
            models=models,
            labels=labels,
            how=_how(recipe.name, threads, device, tell),
        )
    if not (folder / "card.json").exists():
        tell(f"{recipe.name} card", 0, 1, "measuring")
        describe_prm(
            folder,
            EmbeddedEngine.load(models / "lab-policy-m", threads=threads),
            ClassifierReward.load(folder, threads=threads),
            f"planner train prm {name}",
        )
        tell(f"{recipe.name} card", 1, 1, "")
    return folder
