"""Solves a question with a planner's models: whose question it is, within which budget, decided by what.

It grades nothing. ``planner.solving.executor`` decides in stages. ``Solver`` holds the models of one planner,
opened when first needed, and how long they were seen to take.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from planner.decider import PLAIN, Assigned, Decider
from planner.deciding.budgeting import check_money
from planner.deciding.decision_filter import DecisionFilter
from planner.evidence.probe import Probe
from planner.solving.availability_filter import AvailabilityFilter, RefusalFilter
from planner.solving.deadline_filter import DeadlineFilter
from planner.solving.events import EndReason, Left, Listener
from planner.solving.executor import Stages
from planner.solving.forced import check_open_plan, forced_choice
from planner.solving.latency import Latency, Work
from planner.solving.models_given import ModelsGiven, check_names, loader_for, read_models
from planner.solving.request_run import RequestRun, Settings
from planner.solving.settings import plainly, settings_of
from planner.solving.solution import Solution
from planner.solving.stopping import EarlyStopping
from search.budget import UNLIMITED, Budget, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.errors import ArtefactError
from search.loader import Loader
from search.models_file import ModelsFile
from search.plan import Plan
from search.problem import Problem, checked_question

__all__ = ["Solver", "perform", "solve"]

#: a vote that what is missing cannot change any more ends
_SETTLED = EarlyStopping()


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
        given = Plan.parse(plan) if isinstance(plan, str) else plan
        settings = await self.settings(scored=given is not None and given.needs_prm)
        choice = None if given is None else forced_choice(self._planner, given, settings.keys(), without)
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

    async def settings(self, *, scored: bool = False) -> Settings:
        """What runs every policy x PRM pair of the planner; opens the models when first asked.

        ``scored``: open the PRMs too where the planner itself asks none, as rules do.
        """
        async with self._opening:
            if self._settings is None:
                self._settings = await asyncio.to_thread(self._open)
            if scored and all(prm is None for _, prm in self._settings):
                self._settings = await asyncio.to_thread(self._with_prms, self._settings)
            return self._settings

    def _open(self) -> Settings:
        planner = self._planner
        self._loader = self._made or loader_for(
            planner.policies, planner.prms, self._models, threads=self._threads
        )
        return settings_of(planner, self._loader)

    def _with_prms(self, settings: Settings) -> Settings:
        """The same with every PRM beside every policy, for plans that are given."""
        assert self._loader is not None
        rewards = {prm: self._loader.reward(prm) for prm in self._planner.prms}
        beside: Settings = {
            (policy, prm): replace(setting, reward=reward)
            for (policy, _), setting in settings.items()
            for prm, reward in rewards.items()
        }
        return {**settings, **beside}

    async def close(self) -> None:
        """Close the models that were opened here; safe to call twice."""
        loader, self._loader, self._settings = self._loader, None, None
        if loader is not None and loader is not self._models:
            await loader.close()


async def solve(
    question: str | Problem,
    planner: Decider,
    settings: Settings,
    *,
    budget: Budget,
    domain: str | None = None,
    choice: Choice | None = None,
    open_plan: Plan | None = None,
    seed: int = 0,
    abstain_below: float = 0.0,
    allow_foreign: bool = False,
    prices: Mapping[str, Prices] | Prices | None = None,
    latency: Latency | None = None,
    load: Callable[[], int] = lambda: 1,
    availability: AvailabilityFilter | None = None,
    decision_filter: DecisionFilter | None = None,
    early_stopping: EarlyStopping | None = _SETTLED,
    listener: Listener | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Solution:
    """Answer a question: the one path of the Python API, the command line and the server.

    Parameters
    ----------
    question:
        A text, or a problem, which brings its domain.
    settings:
        Must hold every policy x PRM pair that the planner may choose; plans without a PRM run in the
        setting (policy, None) or, without one, in any setting of the policy.
    domain:
        What reads answers of a text. None: the planner says it (``Decider.assign``), and a text that
        is foreign to it gets one plain answer, with the reason in ``Solution.reason``.
    choice:
        Run this instead of what the planner would choose: nothing is expected of it (NaN).
    open_plan:
        What answers a text that is foreign to the planner; None: one greedy answer.
    seed:
        Determines every draw where the engine promises so.
    abstain_below:
        Stop where no affordable plan is expected to be right this often; the answer is then the vote over
        what a probe showed, if there was one.
    prices:
        Needed for a budget in money.
    latency, load:
        Under a deadline, what is known of how long choices take, and how many requests are worked on; what
        this request takes is learned from. None: decisions leave the time to the deadline itself.
    availability:
        Models that are left out.
    decision_filter:
        Filters decisions further (``planner.deciding.decision_filter``).
    early_stopping:
        When drawing for the final vote stops early: by default when what is missing cannot change it. None
        draws all.
    listener:
        Hears of everything as it happens, and of ``Left`` where this raises.
    clock:
        Seconds, monotonic: the time of the running loop's timers.

    A PRM that fails on the way ends the drawing for it, and is left out of what follows; so is a plan whose
    programs cannot be run any more. Plans that cannot run on this question here are left out from the start.
    A policy that fails is asked again where that charges nothing twice, within the deadline. At the deadline,
    and when the policy stays away, the best answer so far is returned (``Solution.ended``). Raises
    ArtefactError for models that the planner was not learned from or a pair that is missing, BudgetError when
    not even the cheapest choice fits a cap, EngineError when the policy fails before any answer can be read.
    """
    if not allow_foreign:
        planner.check(_cards(settings))
    assigned, problem = _assigned(planner, question, domain, choice)
    if not assigned.planned and choice is None:
        plan = Plan.of("cot") if open_plan is None else open_plan
        check_open_plan(plan)
        choice, settings = _plain_answer(planner, settings, availability, plan), plainly(settings)
    budget = planner.resolve(budget, problem.question)
    caps = budget  # samples are for the decision, a ledger keeps the rest
    if budget.samples is not None:
        caps = replace(budget, samples=None)
    if choice is not None:
        found = await perform(
            problem,
            choice,
            settings,
            budget=caps,
            prices=prices,
            seed=seed,
            early_stopping=early_stopping,
            listener=listener,
            clock=clock,
        )
        if assigned.reason:
            found = replace(found, reason=assigned.reason)
    else:
        run = RequestRun(
            problem,
            settings,
            caps,
            seed,
            prices=prices,
            listener=listener,
            early_stopping=early_stopping,
            clock=clock,
        )
        if latency is not None and budget.seconds is not None and math.isfinite(budget.seconds):
            decision_filter = DeadlineFilter(latency, lambda: run.seconds_left, load, decision_filter)
        filtered = decision_filter if availability is None else availability.wrapping(decision_filter)
        # rules choose among plans that run anywhere
        learned = () if planner.fitted is None else planner.choices
        unfit = await run.refused(learned)
        if unfit:
            filtered = RefusalFilter(unfit, filtered)
        stages = Stages(run, planner, budget=budget, abstain_below=abstain_below, decision_filter=filtered)
        try:
            found = await stages.solve()
        except BaseException:
            run.tell(Left(run.spend, run.usd))
            raise
    if latency is not None:
        _observe(latency, found, load())
    return found


async def perform(
    question: str | Problem,
    choice: Choice,
    settings: Settings,
    *,
    budget: Budget = UNLIMITED,
    prices: Mapping[str, Prices] | Prices | None = None,
    domain: str = PLAIN,
    seed: int = 0,
    early_stopping: EarlyStopping | None = None,
    listener: Listener | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Solution:
    """Answer a question by a choice that is given, with no planner: nothing is expected (NaN).

    Parameters and errors as ``solve`` has them, but all is drawn unless ``early_stopping`` says otherwise,
    and a PRM that fails raises RewardError.
    """
    problem = question if isinstance(question, Problem) else Problem("request", "", domain, question)
    run = RequestRun(
        problem,
        settings,
        budget,
        seed,
        prices=prices,
        listener=listener,
        early_stopping=early_stopping,
        clock=clock,
    )
    try:
        result = await run.run(choice, Probe(choice.policy, 0))
    except BaseException:
        run.tell(Left(run.spend, run.usd))
        raise
    unknown = float("nan")
    return run.solution(result, choice, (), (unknown, unknown, unknown), ())


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


def _assigned(
    planner: Decider, question: str | Problem, domain: str | None, choice: Choice | None
) -> tuple[Assigned, Problem]:
    """Whose question it is. Whoever names the choice may name any domain, that of open questions too."""
    if isinstance(question, Problem):
        return Assigned(question.domain, True), question
    if choice is not None and domain is not None:
        assigned = Assigned(domain, True)
    else:
        assigned = planner.assign(question, domain)
    return assigned, Problem("request", "", assigned.domain, question)


def _plain_answer(
    planner: Decider, settings: Settings, availability: AvailabilityFilter | None, plan: Plan
) -> Choice:
    """An answer by the policy that the planner begins with, or of the first that is there."""
    first = planner.first
    there = dict.fromkeys(policy for policy, _ in settings)
    plain = [Choice(policy, None, plan) for policy in sorted(there, key=lambda name: name != first)]
    left = [one for one in plain if availability is None or not availability.excludes(one)]
    if not left:
        raise ArtefactError(f"a plain answer needs a policy that is there, got none of {', '.join(there)}")
    return left[0]


def _observe(latency: Latency, found: Solution, load: int) -> None:
    """Let the latency model see what each stage took."""
    if found.ended == EndReason.POLICY_FAILED:
        return  # it was waited for, not worked with
    for record in found.stages:
        probe, drawn = record.advice.probe, record.probe.samples
        if probe is None:
            work = Work.of(record.advice.choice, drawn)
        else:
            work = Work(probe.policy, probe.prm, max(1, probe.samples - drawn), False)
        # what was cut off tells too: so many tokens took so long
        latency.observe(work, record.spend.tokens, record.spend.seconds, load)


def _cards(settings: Settings) -> list[ModelCard]:
    cards = [setting.engine.card for setting in settings.values()]
    return [*cards, *(setting.reward.card for setting in settings.values() if setting.reward is not None)]
