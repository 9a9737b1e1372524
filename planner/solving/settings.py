"""What runs each policy x PRM pair that a planner may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.decider import Decider
from search.drawing import Drawing
from search.engines.prompted import PromptedEngine
from search.engines.protocol import Engine
from search.loader import Loader
from search.prompts import Prompting
from search.strategies.protocol import Setting

__all__ = ["asked", "drawing_of", "plainly", "settings_of"]


def settings_of(planner: Decider, loader: Loader) -> dict[tuple[str, str | None], Setting]:
    """A setting for every pair that the planner may choose or probe with. Loads the models.

    Policies are asked as they were when the planner was learned (``Fitted.prompting``): ``loader`` gives
    them as they are. They are drawn as a models file says, else as they were for the log
    (``Fitted.drawings``), else as the model's ``generation_config.json`` says. Raises CheckpointError for a
    model that the loader does not know.
    """
    pairs = planner.pairs
    engines = {policy: asked(planner, loader.engine(policy)) for policy in sorted({one for one, _ in pairs})}
    drawings = {policy: drawing_of(planner, loader, policy) for policy in engines}
    return {
        (policy, prm): Setting(
            engines[policy],
            None if prm is None else loader.reward(prm),
            drawings[policy].sampling,
            drawings[policy].limits,
            delimiter=planner.prompting(policy).delimiter,
            words=planner.words,
        )
        for policy, prm in sorted(pairs, key=str)
    }


def drawing_of(planner: Decider, loader: Loader, policy: str) -> Drawing:
    """How a policy's solutions are drawn for a planner."""
    chosen, drawn = loader.chosen_sampling(policy), planner.drawings.get(policy)
    if drawn is not None:
        return Drawing.of(chosen, drawn=drawn)
    return Drawing.of(chosen, loader.generation_defaults(policy))


def plainly(settings: Mapping[tuple[str, str | None], Setting]) -> dict[tuple[str, str | None], Setting]:
    """The same with every policy as it is, for questions that the planner's promptings were not made for."""
    return {
        pair: replace(setting, engine=setting.engine.engine, delimiter=Prompting().delimiter)
        if isinstance(setting.engine, PromptedEngine)
        else setting
        for pair, setting in settings.items()
    }


def asked(planner: Decider, engine: Engine) -> Engine:
    """A policy as the planner knows it: under its prompting, or itself where that is plain."""
    prompting = planner.prompting(engine.card.name)
    return engine if prompting.is_plain else PromptedEngine(engine, prompting)
