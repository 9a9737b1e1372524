"""What a planner solves with: its models, opened when first needed, and how long they were seen to take."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from planner.decider import Decider
from planner.deciding.budgeting import check_money
from planner.rules_planner import RulesPlanner
from planner.solving.availability_filter import AvailabilityFilter
from planner.solving.events import Listener
from planner.solving.executor import solve
from planner.solving.forced import forced_choice
from planner.solving.latency import Latency
from planner.solving.models_given import ModelsGiven, check_names, loader_for, read_models
from planner.solving.request_run import Settings
from planner.solving.settings import settings_of
from planner.solving.solution import Solution
from planner.solving.stopping import EarlyStopping
from search.budget import Budget, Prices
from search.errors import ArtefactError
from search.loader import Loader
from search.models_file import ModelsFile
from search.plan import Plan
from search.problem import Problem, checked_question

__all__ = ["Solver", "rules_over"]


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
    allow_foreign:
        Solve with models that the planner was not learned from too.
    loader:
        A loader of ``models`` that was made already; it is closed with this.
    """

    def __init__(
        self,
        planner: Decider,
        models: ModelsGiven,
        *,
        domain: str | None = None,
        prices: Mapping[str, Prices] | Prices | None = None,
        threads: int = 1,
        allow_foreign: bool = False,
        loader: Loader | None = None,
    ) -> None:
        self.domain = domain
        self._planner = planner
        self._models = models
        self._prices = prices
        self._threads = threads
        self._allow_foreign = allow_foreign
        self._latency = Latency()
        self._running = 0
        self._made = loader
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
        draw_all: bool = False,
        plan: Plan | str | None = None,
        open_plan: Plan | str | None = None,
        listener: Listener | None = None,
    ) -> Solution:
        """Answer a question; see ``Planner.solve``."""
        prices = self.prices if prices is None else prices
        check_money(budget, prices, [name for name in self._planner.policies if name not in without])
        availability = _without(self._planner, without)
        settings = await self.settings()
        choice = None if plan is None else forced_choice(self._planner, plan, settings.keys(), without)
        loop = asyncio.get_running_loop()
        began = loop.time()
        if not isinstance(question, Problem):
            question = checked_question(question)
        text = question.question if isinstance(question, Problem) else question
        margin = 0.0 if budget.seconds is None else self._latency.margin(budget.seconds)
        resolved = self._planner.resolve(budget, text, waited=margin)
        self._running += 1
        try:
            found = await solve(
                question,
                self._planner,
                settings,
                budget=resolved,
                domain=domain or self.domain,
                choice=choice,
                open_plan=Plan.parse(open_plan) if isinstance(open_plan, str) else open_plan,
                seed=seed,
                abstain_below=abstain_below,
                allow_foreign=self._allow_foreign,
                prices=prices,
                latency=self._latency,
                load=lambda: self._running,
                availability=availability,
                early_stopping=None if draw_all else EarlyStopping(),
                listener=listener,
            )
        finally:
            self._running -= 1
        if resolved.seconds is not None and found.spend.seconds >= resolved.seconds:
            self._latency.overran(loop.time() - began - resolved.seconds)
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
                self._settings = await asyncio.to_thread(self._open)
            return self._settings

    def _open(self) -> Settings:
        planner = self._planner
        self._loader = self._made or loader_for(
            planner.policies, planner.prms, self._models, threads=self._threads
        )
        return settings_of(planner, self._loader)

    async def close(self) -> None:
        """Close the models that were opened here; safe to call twice."""
        loader, self._loader, self._settings = self._loader, None, None
        if loader is not None and loader is not self._models:
            await loader.close()


def _without(planner: Decider, names: Collection[str]) -> AvailabilityFilter | None:
    """What leaves these models out. Raises ArtefactError for other names, and where nothing is left."""
    known = (*planner.policies, *planner.prms)
    for name in names:
        if name not in known:
            raise ArtefactError(f"what is left out is one of {', '.join(known)}, got {name!r}")
    if not names:
        return None
    availability = AvailabilityFilter(names, names)
    if not availability.leaves(planner):
        raise ArtefactError(f"a planner needs a choice, got none without {', '.join(names)}")
    return availability


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
