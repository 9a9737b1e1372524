"""What runs each policy x PRM pair that a planner may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.fitted import Fitted
from planner.planner import Planner
from search.engines.prompted import PromptedEngine
from search.engines.protocol import Engine
from search.grid import Grid
from search.loader import Loader
from search.prompts import Prompting
from search.strategies.protocol import Setting

__all__ = ["asked", "plainly", "settings_of"]


def settings_of(planner: Planner, loader: Loader) -> dict[tuple[str, str | None], Setting]:
    """A setting for every pair that the planner may choose or probe with. Loads the models.

    Policies are asked as they were when the planner was learned (``Fitted.prompting``): ``loader`` gives
    them as they are. Sampling and limits are the policy's own defaults (a models file, its
    ``generation_config.json``), else those of ``Setting``, which are the default grid's too. Raises
    CheckpointError for a model that the loader does not know.
    """
    pairs = {(choice.policy, choice.prm) for stage in planner.stages for choice in stage.choices}
    pairs |= {(stage.probe.policy, stage.probe.prm) for stage in planner.stages}
    names = sorted({policy for policy, _ in pairs})
    engines = {policy: asked(planner, loader.engine(policy)) for policy in names}
    defaults = {policy: loader.generation_defaults(policy) for policy in names}
    grid = Grid.of({"pair": [{"policy": policy} for policy in names]})
    return {
        (policy, prm): Setting(
            engines[policy],
            None if prm is None else loader.reward(prm),
            sampling=grid.sampling_of(defaults[policy]),
            limits=grid.limits_of([defaults[policy]]),
            delimiter=planner.prompting(policy).delimiter,
        )
        for policy, prm in sorted(pairs, key=str)
    }


def plainly(settings: Mapping[tuple[str, str | None], Setting]) -> dict[tuple[str, str | None], Setting]:
    """The same with every policy as it is, for questions that the planner's promptings were not made for."""
    return {
        pair: replace(setting, engine=setting.engine.engine, delimiter=Prompting().delimiter)
        if isinstance(setting.engine, PromptedEngine)
        else setting
        for pair, setting in settings.items()
    }


def asked(planner: Fitted, engine: Engine) -> Engine:
    """A policy as the planner knows it: under its prompting, or itself where that is plain."""
    prompting = planner.prompting(engine.card.name)
    return engine if prompting.is_plain else PromptedEngine(engine, prompting)
