"""The run of one request: its ledgers, its samples so far, and its listener.

It runs probes and plans; what to run is decided elsewhere (``planner.solving.executor``).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from planner.evidence.probe import Probe
from planner.solving.events import Ended, EndReason, Event, Listener, Started
from planner.solving.solution import Solution, StageRecord
from planner.solving.stopping import EarlyStopping, VoteTracker
from search.budget import Budget, Prices
from search.choice import Choice
from search.errors import ArtefactError, ContextError, EngineError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.seeds import seed_of
from search.strategies.protocol import Setting

__all__ = ["RequestRun", "Settings"]

#: (policy name, PRM name or None) -> what runs it
Settings = Mapping[tuple[str, str | None], Setting]

#: what a run that was cut off may come back with
_CUT_OFF = (Outcome.DEADLINE, Outcome.BUDGET)


class RequestRun:
    """One request's work.

    Parameters
    ----------
    budget:
        Hard caps of the whole request; its seconds count from now.
    prices:
        Needed for a cap on money.
    listener:
        Hears of everything; None: nobody does.
    early_stopping:
        When the drawing of a final vote may end early; None: never.
    clock:
        Seconds, monotonic.

    ``ended`` says why the last drawing ended early, ``failed`` which policy was gone by then.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        budget: Budget,
        seed: int,
        *,
        prices: Mapping[str, Prices] | Prices | None = None,
        listener: Listener | None = None,
        early_stopping: EarlyStopping | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.candidates: tuple[Candidate, ...] = ()
        self.last: Result | None = None
        self.ended: EndReason | None = None
        self.failed: str | None = None
        self.problem = problem
        self._settings = settings
        self._budget = budget
        self._seed = seed
        self.prices = prices
        self._listener = listener
        self._early_stopping = early_stopping
        self._clock = clock
        self._began = clock()
        self._ledger: Ledger | None = None
        self._scored_by: str | None = None

    @property
    def spend(self) -> Spend:
        """Everything spent on this request; ``seconds`` since it began."""
        if self._ledger is None:
            return Spend(seconds=self._clock() - self._began)
        return self._ledger.spend  # whose clock began with this run

    @property
    def usd(self) -> float | None:
        """Money spent; None where a price is not known."""
        if self.prices is None:
            return None
        if self._ledger is None:
            return 0.0
        return self._ledger.usd if self._ledger.knows_usd else None

    @property
    def seconds_left(self) -> float:
        """Until the deadline: infinite without one, 0.0 once it has passed."""
        if self._budget.seconds is None:
            return math.inf
        return max(0.0, self._budget.seconds - (self._clock() - self._began))

    async def refused(self, choices: Iterable[Choice]) -> frozenset[Choice]:
        """Those of some choices that cannot run on the problem. Most run anywhere, which costs nothing."""
        found: set[Choice] = set()
        for choice in choices:
            for plan in (choice.plan, *(part.plan for part in choice.plan.walk())):
                if plan.described.runs_anywhere:
                    continue
                settings = (one for (policy, _), one in self._settings.items() if policy == choice.policy)
                setting = next(settings, None)
                if setting is None:
                    continue  # whoever runs it says that its policy is not there
                if await asyncio.to_thread(plan.described.refuses, self.problem, setting) is not None:
                    found.add(choice)
        return frozenset(found)

    def tell(self, event: Event) -> None:
        """Tell the listener, if there is one."""
        if self._listener is not None:
            self._listener(event)

    async def probe(self, probe: Probe) -> tuple[Candidate, ...]:
        """Draw (or score) until ``probe`` has been seen; fewer candidates where a cap let fewer finish."""
        plan = Plan.of("majority", n=probe.samples)
        if probe.prm is not None:
            plan = Plan.of("best_of_n", n=probe.samples, score="last")
        choice = Choice(probe.policy, probe.prm, plan)
        self.tell(Started(choice, probe, self.spend))
        if probe.greedy and not self.candidates:
            greedy = await self._run(Choice(probe.policy, None, Plan.of("cot")), (), None)
            self.candidates, self.last = greedy.candidates, greedy
            if self.candidates and probe.samples == 1 and probe.prm is None:
                return self.candidates
        result = await self._run(choice, self.candidates, None)
        self.candidates, self.last = result.candidates, result
        return result.candidates

    async def run(self, choice: Choice, probe: Probe) -> Result:
        """Commit to a choice; the samples seen stay candidates where they join.

        Where the time or the budget ends before it has an answer, or the policy fails, the answer of the
        last probe stands. Raises EngineError where there is none.
        """
        self.tell(Started(choice, None, self.spend))
        prior = self.candidates if probe.joins(choice) else ()
        if probe.holds(choice):
            prior = self.candidates[:1]
        try:
            result = await self._run(choice, prior, self._early_stopping)
        except ContextError:
            raise
        except EngineError:
            if self.last is None or self.last.answer is None:
                raise
            self._do_without(choice, max(1, choice.plan.n - len(prior)))
            return self.last
        if result.outcome in _CUT_OFF and self.last is not None and self.last.answer is not None:
            return self.last
        return result

    # ---- what comes of it

    def solution(
        self,
        result: Result,
        choice: Choice,
        records: Sequence[StageRecord],
        expected: tuple[float, float, float],
        lost: tuple[str, ...],
    ) -> Solution:
        """The solution that a result comes to. ``expected``: accuracy, tokens and FLOPs; ``lost``: PRMs."""
        return Solution(
            result.answer,
            result.outcome,
            choice,
            result.candidates,
            tuple(records),
            *expected,
            self.spend,
            result.chosen,
            self.usd,
            self.ended,
            self.gone(lost),
            self.problem.domain,
            calls=result.calls,
            jail_seconds=result.jail_seconds,
        )

    def gone(self, prms: tuple[str, ...]) -> tuple[str, ...]:
        """The models that failed: these PRMs, and the policy."""
        return prms if self.failed is None else (*prms, self.failed)

    # ---- inside

    async def _run(
        self, choice: Choice, prior: Sequence[Candidate], early_stopping: EarlyStopping | None
    ) -> Result:
        setting = self._setting(choice)
        ledger = self._ledger_for(setting, choice)
        known = prior
        if choice.prm is not None and prior and self.last is not None and self._scored_by != choice.prm:
            # rewards of another PRM say nothing here: they are scored anew, and charged
            known = [replace(candidate, step_rewards=()) for candidate in prior]
        seed = seed_of(self._seed, str(choice), self.problem.problem_id, len(prior))
        tracker = VoteTracker(
            self.problem,
            choice.plan,
            known,
            lambda: self.spend,
            listener=self._listener,
            early_stopping=early_stopping,
            policy=setting.engine.card,
            seconds_left=lambda: self.seconds_left,
        )
        pairs = self._settings
        if self._budget.price is not None:
            pairs = {names: self._priced(one) for names, one in pairs.items()}
        setting = replace(self._priced(setting), observer=tracker, pairs=pairs)
        strategy = choice.plan.described
        result = await strategy.start(self.problem, setting, ledger, seed=seed, prior=known)
        if choice.prm is not None:
            self._scored_by = choice.prm
        missing = choice.plan.n - len(result.candidates)
        if tracker.ended is not None:
            self.ended = tracker.ended
        elif tracker.failure is not None and (missing > 0 or choice.plan.must_run):
            self._do_without(choice, max(1, missing))
        elif self.seconds_left <= 0.0 and missing > 0:
            self.ended = EndReason.DEADLINE
            self.tell(Ended(EndReason.DEADLINE, missing, self.spend))
        return result

    def _do_without(self, choice: Choice, missing: int) -> None:
        """The policy of a choice is gone."""
        self.ended, self.failed = EndReason.POLICY_FAILED, choice.policy
        self.tell(Ended(EndReason.POLICY_FAILED, missing, self.spend))

    def _setting(self, choice: Choice) -> Setting:
        setting = self._settings.get((choice.policy, choice.prm))
        if setting is None and choice.prm is None:
            setting = next((s for (policy, _), s in self._settings.items() if policy == choice.policy), None)
        if setting is None:
            pairs = ", ".join(f"{policy} x {prm or '-'}" for policy, prm in self._settings)
            raise ArtefactError(f"a planner chooses among the models that are there ({pairs}), got {choice}")
        return setting

    def _priced(self, setting: Setting) -> Setting:
        """With the budget's price, in accuracy per FLOP of the setting's policy."""
        price = self._budget.price
        if price is None:
            return setting
        if self._budget.price_unit == "tokens":
            price /= max(setting.engine.card.flops(1.0), 1e-300)
        return replace(setting, price=price)

    def _ledger_for(self, setting: Setting, choice: Choice) -> Ledger:
        """The request's ledger for these models: one budget, and a prompt counts once per model."""
        policy = setting.engine.card
        prm = setting.reward.card if setting.reward is not None and choice.prm is not None else None
        if self._ledger is None:
            self._ledger = Ledger(
                self._budget, policy, prm, self.prices, clock=self._clock, start=self._began
            )
            return self._ledger
        return self._ledger.beside(policy, prm)
