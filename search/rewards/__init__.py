"""Rewards score steps. Import them from their own files; this page names the whole family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.errors import MissingExtraError
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored
from search.rewards.scripted import ScriptedReward

if TYPE_CHECKING:
    from pathlib import Path

    from search.rewards.computed.classifier import ClassifierReward

__all__ = ["Handle", "Reward", "RewardUsage", "Scored", "ScriptedReward", "load_classifier"]


def load_classifier(path: str | Path, *, threads: int = 1) -> ClassifierReward:
    """``ClassifierReward.load``, importing torch only now. Raises MissingExtraError without it."""
    try:
        from search.rewards.computed.classifier import ClassifierReward
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the classifier reward needs the lab extra, got no {error.name}: "
            "pip install 'test-time-planner[lab]'"
        ) from error
    return ClassifierReward.load(path, threads=threads)
