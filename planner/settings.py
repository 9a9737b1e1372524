"""What runs each policy x PRM pair that a planner may choose."""

from __future__ import annotations

from planner.planner import Planner
from search.loader import Loader
from search.strategies.protocol import Setting

__all__ = ["settings_of"]


def settings_of(planner: Planner, loader: Loader) -> dict[tuple[str, str | None], Setting]:
    """A setting for every pair that the planner may choose or look with. Loads the models.

    Sampling and limits are those of ``Setting``, which are the default grid's too. Raises
    CheckpointError for a model that the loader does not know.
    """
    pairs = {(choice.policy, choice.prm) for stage in planner.stages for choice in stage.choices}
    pairs |= {(stage.look.policy, stage.look.prm) for stage in planner.stages}
    return {
        (policy, prm): Setting(loader.engine(policy), None if prm is None else loader.reward(prm))
        for policy, prm in sorted(pairs, key=str)
    }
