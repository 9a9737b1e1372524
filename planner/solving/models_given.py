"""Where a planner's models come from, as ``models=`` says: a loader, folders, a models file, or nothing.

``rules_over`` makes a planner of models alone, where nothing was learned yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from planner.models import find_model
from planner.rules_planner import RulesPlanner
from search.budget import Prices
from search.errors import ArtefactError, CheckpointError, ModelsError
from search.loader import FolderLoader, Loader, PrmPlace
from search.models_file import ModelsFile
from search.rewards.prm_names import models_of

__all__ = ["ModelsGiven", "check_names", "loader_for", "read_models", "rules_over"]

#: where models come from: a loader, a mapping name -> folder, a models file (its path, or what was read of
#: it), or None for the shipped ones
ModelsGiven = Loader | Mapping[str, str | Path] | ModelsFile | str | Path | None


def loader_for(
    policies: Collection[str], prms: Collection[str], models: ModelsGiven, *, threads: int = 1
) -> Loader:
    """A loader of policies and PRMs by these names.

    Parameters
    ----------
    models:
        A loader; a mapping from names to folders (or to names of shipped models); a models file
        (``models.toml``, or a ``ModelsFile``); None for the shipped models of these names.
    threads:
        Torch threads of models in this process.

    Raises CheckpointError for a model that is not there, ModelsError for a file that lacks one.
    """
    if isinstance(models, Loader):
        return models
    if isinstance(models, ModelsFile | str | Path):
        known = read_models(models)
        check_names(known, policies, prms)
        return known.loader(list(policies), list(prms), find=find_model, threads=threads)
    if not isinstance(models, Mapping | None):
        raise CheckpointError(
            f"models= is a file, a mapping from names to folders or a loader, got {models!r}"
        )
    given: Mapping[str, str | Path] = models or {}
    for name in given:
        if name not in (*policies, *prms, *_asked(prms)):
            raise CheckpointError(f"a model must be one of {', '.join((*policies, *prms))}, got {name!r}")

    def folder(name: str) -> Path:
        if name in given:
            found = find_model(given[name])
            if found.resolve().name != name:  # its card, and so every fingerprint, goes by the folder's name
                raise CheckpointError(
                    f"a model lies in a folder of its name, got {str(given[name])!r} for {name!r}"
                )
            return found
        try:
            return find_model(name)
        except CheckpointError as error:
            raise CheckpointError(
                f"models= must say where each model is ({{name: folder}}), got nothing for {name!r}"
            ) from error

    def place(prm: str) -> PrmPlace:
        models = models_of(prm)
        return {model: folder(model) for model in models} if models else folder(prm)

    return FolderLoader(
        {name: folder(name) for name in policies}, {name: place(name) for name in prms}, threads=threads
    )


def _asked(prms: Collection[str]) -> list[str]:
    """The policies that PRMs ask."""
    return [model for name in prms for model in models_of(name)]


def read_models(given: ModelsFile | str | Path) -> ModelsFile:
    """The models of a file. Raises CheckpointError where there is none, ModelsError for its faults."""
    if isinstance(given, ModelsFile):
        return given
    if not Path(given).is_file():
        raise CheckpointError(
            f"models= is a file, a mapping from names to folders or a loader, got {str(given)!r}"
        )
    return ModelsFile.read(given)


def check_names(models: ModelsFile, policies: Collection[str], prms: Collection[str]) -> None:
    """Raises ModelsError, a line each, for policies and PRMs that a models file lacks."""
    faults = []
    for kind, entries, names in (("policy", models.policy, policies), ("prm", models.prm, prms)):
        there = [entry.name for entry in entries]
        known = ", ".join(there) or "none"
        faults += [
            f"a models file must have every {kind} that is asked, got no {name!r} among {known}"
            for name in names
            if name not in there and not (kind == "prm" and models.knows_prm(name))
        ]
    if faults:
        raise ModelsError("", faults)


def rules_over(
    models: ModelsGiven,
    *,
    domain: str | None = None,
    prices: Mapping[str, Prices] | Prices | None = None,
    threads: int = 1,
) -> RulesPlanner:
    """Rules that decide between the policies of a models file, or of a mapping from names to folders.

    Loads no weights. Servers are asked what they serve, and all must answer. Raises ArtefactError where
    nothing says which models there are, and what ``loader_for`` and the models raise.
    """
    from planner.solving.solver import Solver  # which opens what this finds

    if isinstance(models, ModelsFile | str | Path):
        known = read_models(models)
        policies, prms = [entry.name for entry in known.policy], known.prm_names
        served = [entry.name for entry in known.policy if entry.is_served]
        told: ModelsGiven = known
        words: Mapping[str, str] = known.words
        ordering = prices if isinstance(prices, Mapping) else known.price_table(policies, prms)
    elif isinstance(models, Mapping):
        policies, prms, served, told, words = [*models], [], [], models, {}
        ordering = prices if isinstance(prices, Mapping) else None
    else:
        raise ArtefactError(
            "without a fitted planner models= says which policies there are, by a models file or a mapping, "
            f"got {models!r}"
        )
    loader = loader_for(policies, prms, told, threads=threads)
    rules = RulesPlanner.of(loader, policies, prms, served=served, prices=ordering, words=words)
    rules.bind(Solver(rules, told, domain=domain, prices=prices, threads=threads, loader=loader))
    return rules
