"""What a planner solves with: its models, opened when first needed, and how long they were seen to take."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from planner.availability_filter import AvailabilityFilter
from planner.budgeting import check_money, resolve
from planner.events import Listener
from planner.executor import Settings, Solution, solve
from planner.latency import Latency
from planner.models import find_model
from planner.planner import Planner
from planner.settings import settings_of
from planner.stopping import EarlyStopping
from search.budget import Budget, Prices
from search.errors import CheckpointError, ModelsError
from search.loader import FolderLoader, Loader
from search.models_file import ModelsFile
from search.problem import Problem

__all__ = ["ModelsGiven", "Solver", "check_names", "loader_for", "read_models"]

#: where models come from: a loader, a mapping name -> folder, a models file (its path, or what was read of
#: it), or None for the shipped ones
ModelsGiven = Loader | Mapping[str, str | Path] | ModelsFile | str | Path | None


class Solver:
    """Solves for one planner. Its coroutines run on one loop (``search.sync``), as its models do.

    Parameters
    ----------
    models:
        Where the planner's models are; see ``loader_for``.
    domain:
        Of questions that name none; None: the planner says it.
    prices:
        Of requests that name none; None: those of a models file.
    threads:
        Torch threads of models in this process.
    """

    def __init__(
        self,
        planner: Planner,
        models: ModelsGiven,
        *,
        domain: str | None = None,
        prices: Mapping[str, Prices] | Prices | None = None,
        threads: int = 1,
    ) -> None:
        self.domain = domain
        self._planner = planner
        self._models = models
        self._prices = prices
        self._threads = threads
        self._latency = Latency()
        self._running = 0
        self._loader: Loader | None = None
        self._settings: Settings | None = None
        self._opening = asyncio.Lock()

    async def solve(
        self,
        question: str | Problem,
        budget: Budget,
        *,
        domain: str | None = None,
        seed: int = 0,
        prices: Mapping[str, Prices] | Prices | None = None,
        abstain_below: float = 0.0,
        without: Collection[str] = (),
        stop_early: bool = True,
        listener: Listener | None = None,
    ) -> Solution:
        """Answer a question; see ``Planner.solve``."""
        prices = self.prices if prices is None else prices
        check_money(budget, prices, [name for name in self._planner.policies if name not in without])
        loop = asyncio.get_running_loop()
        began = loop.time()
        settings = await self.settings()
        text = question.question if isinstance(question, Problem) else question
        waited = 0.0
        if budget.seconds is not None:
            waited = loop.time() - began + self._latency.margin(budget.seconds)
        self._running += 1
        try:
            found = await solve(
                question,
                self._planner,
                settings,
                budget=resolve(self._planner, budget, text, waited=waited),
                domain=domain or self.domain,
                seed=seed,
                abstain_below=abstain_below,
                prices=prices,
                latency=self._latency,
                load=lambda: self._running,
                availability=AvailabilityFilter(without, without) if without else None,
                early_stopping=EarlyStopping() if stop_early else None,
                listener=listener,
            )
        finally:
            self._running -= 1
        if budget.seconds is not None:
            self._latency.overran(loop.time() - began - budget.seconds)
        return found

    @property
    def prices(self) -> Mapping[str, Prices] | Prices | None:
        """Of requests that name none: as given, or those of the models file. Raises ModelsError."""
        if self._prices is None and isinstance(self._models, ModelsFile | str | Path):
            self._models = read_models(self._models)
            check_names(self._models, self._planner.policies, self._planner.prms)
            self._prices = self._models.price_table([*self._planner.policies], [*self._planner.prms])
        return self._prices

    async def settings(self) -> Settings:
        """What runs every policy x PRM pair of the planner; opens the models when first asked."""
        async with self._opening:
            if self._settings is None:
                self._loader = loader_for(
                    self._planner.policies, self._planner.prms, self._models, threads=self._threads
                )
                self._settings = settings_of(self._planner, self._loader)
            return self._settings

    async def close(self) -> None:
        """Close the models that were opened here; safe to call twice."""
        loader, self._loader, self._settings = self._loader, None, None
        if loader is not None and loader is not self._models:
            await loader.close()


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
    given: Mapping[str, str | Path] = models or {}
    for name in given:
        if name not in (*policies, *prms):
            raise CheckpointError(f"a model must be one of {', '.join((*policies, *prms))}, got {name!r}")

    def folder(name: str) -> Path:
        if name in given:
            return find_model(given[name])
        try:
            return find_model(name)
        except CheckpointError as error:
            raise CheckpointError(
                f"models= must say where each model is ({{name: folder}}), got nothing for {name!r}"
            ) from error

    return FolderLoader(
        {name: folder(name) for name in policies}, {name: folder(name) for name in prms}, threads=threads
    )


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
            if name not in there
        ]
    if faults:
        raise ModelsError("", faults)
