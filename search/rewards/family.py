"""A PRM family: which checkpoints it takes, and how it opens one. One class per family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from search.checkpoint import Checkpoint
from search.errors import CheckpointError
from search.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from search.engines.protocol import Engine
    from search.rewards.protocol import Reward

__all__ = ["PRM_FAMILIES", "Opening", "PrmFamily"]


@dataclass(frozen=True, slots=True)
class Opening:
    """How a reward model is opened.

    Parameters
    ----------
    threads:
        Threads torch computes with.
    prompt_bytes:
        Most memory for keys and values of prompts.
    device:
        Where torch computes: ``cpu``, ``cuda``, ``cuda:1``.
    delimiter:
        What stands between the steps of a solution.
    policy:
        The folder of the policy whose hidden states a head reads; by default where the head says.
    engine:
        That policy, where it is loaded already.
    """

    threads: int = 1
    prompt_bytes: int = 64 << 20
    device: str = "cpu"
    delimiter: str = "\n"
    policy: str | Path | None = None
    engine: Engine | None = None


class PrmFamily(ABC):
    """One family of reward models. It has no state: ``PRM_FAMILIES`` holds the class.

    Import torch and the like inside ``open``: asking which family takes a checkpoint loads no weights.
    """

    #: the word for ``--family`` and models files
    name: ClassVar[str]
    #: what it is and where it is read, for people
    caption: ClassVar[str] = ""
    #: architectures of ``config.json`` that it may take
    architectures: ClassVar[Sequence[str]]

    @classmethod
    def takes(cls, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint is of this family. By default its architecture decides."""
        return checkpoint.architecture in cls.architectures

    @classmethod
    @abstractmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        """The reward model, loaded. Raises CheckpointError where weights or tokenizer do not fit."""


#: the families, in the order in which a checkpoint is offered to them, after those of plug-ins
PRM_FAMILIES: Registry[type[PrmFamily]] = Registry(
    "PRM family",
    "planner.prm_families",
    PrmFamily,
    {
        "head": "search.rewards.families:StatesHead",
        "classifier": "search.rewards.families:Classifier",
        "value_head": "search.rewards.families:ValueHead",
        "orm": "search.rewards.families:Outcome",
        "rlhflow": "search.rewards.families:Rlhflow",
        "math_shepherd": "search.rewards.families:MathShepherd",
    },
    CheckpointError,
)
