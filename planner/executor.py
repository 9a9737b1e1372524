"""Solves a question as a planner advises: looks, decides again, runs the chosen plan, answers.

It grades nothing. What was spent on a look stays spent, and its samples stay candidates of every plan of
the same policy. Hard caps are kept by the ledger whatever the planner expects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.labels import Look
from planner.objective import HardCap, Objective
from planner.planner import Planner
from planner.recommendation import Recommendation
from search.budget import UNLIMITED, Budget, Ledger
from search.cards import ModelCard
from search.choice import Choice
from search.errors import ArtefactError
from search.grading.registry import domain as grading
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.run import run_plan
from search.seeds import seed_of
from search.strategies.protocol import Setting
from search.sync import run_sync
from search.votes import group

__all__ = ["Solution", "StageRecord", "solve", "solve_sync"]

#: (policy name, PRM name or None) -> what runs it
Settings = Mapping[tuple[str, str | None], Setting]


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One decision: what was known, what was advised, and what following it cost until the next one."""

    look: Look
    advice: Recommendation
    spend: Spend


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer to one question, how it came about, and what was expected and spent.

    ``accuracy``, ``tokens`` and ``flops`` are what the last decision promised, with everything spent
    before it counted in; ``spend`` is what it took.
    """

    answer: str | None
    outcome: Outcome
    choice: Choice
    candidates: tuple[Candidate, ...]
    stages: tuple[StageRecord, ...]
    accuracy: float
    tokens: float
    flops: float
    spend: Spend


async def solve(
    question: str | Problem,
    planner: Planner,
    settings: Settings,
    *,
    objective: Objective,
    cap: HardCap | None = None,
    domain: str = "text",
    seed: int = 0,
    voteable: bool = True,
    abstain_below: float = 0.0,
    allow_foreign: bool = False,
) -> Solution:
    """Answer a question.

    Parameters
    ----------
    question:
        A text, with its ``domain`` (which reads answers), or a problem.
    settings:
        Must hold every policy x PRM pair that the planner may choose; plans without a PRM run in the
        setting (policy, None) or, without one, in any setting of the policy.
    seed:
        Determines every draw where the engine promises so.
    abstain_below:
        Stop where no affordable plan is expected to be right this often; the answer is then the vote over
        what a look showed, if there was one.

    Raises ArtefactError for models that the planner was not learned from or a pair that is missing,
    BudgetError when not even the cheapest choice fits a cap.
    """
    problem = question if isinstance(question, Problem) else Problem("request", "", domain, question)
    planner.check(_cards(settings), allow_foreign=allow_foreign)
    limits = [
        limit for limit in (objective if isinstance(objective, HardCap) else None, cap) if limit is not None
    ]
    desk = _Desk(problem, settings, _budget(limits), seed)
    advice = planner.recommend(
        problem.question,
        objective=objective,
        cap=cap,
        domain=problem.domain,
        voteable=voteable,
        abstain_below=abstain_below,
    )
    records: list[StageRecord] = []
    look = Look(planner.stages[0].look.policy, 0)
    before = Spend()
    while advice.look is not None and not advice.abstain:
        candidates = await desk.look(advice.look)
        spent = desk.spend
        records.append(StageRecord(look, advice, _minus(spent, before)))
        look, before = advice.look, spent
        if len(candidates) < look.samples:
            # the cap let fewer finish than asked for: what there is must do
            return desk.answered_from(candidates, look, records, advice)
        advice = planner.decide(
            problem.question,
            look,
            candidates,
            objective=objective,
            cap=cap,
            spent=spent,
            groups=group(problem, grading(problem.domain), [c.answer for c in candidates]),
            domain=problem.domain,
            abstain_below=abstain_below,
        )
    if advice.abstain:
        records.append(StageRecord(look, advice, Spend()))
        return desk.abstained(look, records, advice)
    result = await desk.run(advice.choice, look)
    records.append(StageRecord(look, advice, _minus(desk.spend, before)))
    return Solution(
        result.answer,
        result.outcome,
        advice.choice,
        result.candidates,
        tuple(records),
        advice.accuracy,
        before.tokens + advice.tokens,
        before.flops + advice.flops,
        desk.spend,
    )


def solve_sync(
    question: str | Problem,
    planner: Planner,
    settings: Settings,
    *,
    objective: Objective,
    cap: HardCap | None = None,
    domain: str = "text",
    seed: int = 0,
    voteable: bool = True,
    abstain_below: float = 0.0,
    allow_foreign: bool = False,
) -> Solution:
    """``solve`` for callers without a loop; it also works inside a running one (a notebook)."""
    return run_sync(
        solve(
            question,
            planner,
            settings,
            objective=objective,
            cap=cap,
            domain=domain,
            seed=seed,
            voteable=voteable,
            abstain_below=abstain_below,
            allow_foreign=allow_foreign,
        )
    )


class _Desk:
    """One request being worked on: its ledgers and the samples it holds."""

    def __init__(self, problem: Problem, settings: Settings, budget: Budget, seed: int) -> None:
        self._problem = problem
        self._settings = settings
        self._budget = budget
        self._seed = seed
        self._closed = Spend()  # of ledgers that are no longer in use
        self._ledger: Ledger | None = None
        self._candidates: tuple[Candidate, ...] = ()
        self._last: Result | None = None

    @property
    def spend(self) -> Spend:
        """Everything spent on this request."""
        return self._closed if self._ledger is None else self._closed + self._ledger.spend

    async def look(self, look: Look) -> tuple[Candidate, ...]:
        """Draw (or score) until ``look`` has been seen."""
        plan = Plan.of("majority", n=look.samples)
        if look.prm is not None:
            plan = Plan.of("best_of_n", n=look.samples, score="last")
        result = await self._run(Choice(look.policy, look.prm, plan), self._candidates)
        self._candidates, self._last = result.candidates, result
        return result.candidates

    async def run(self, choice: Choice, look: Look) -> Result:
        """Commit to a choice; the samples seen stay candidates where they join."""
        return await self._run(choice, self._candidates if look.joins(choice) else ())

    def answered_from(
        self,
        candidates: Sequence[Candidate],
        look: Look,
        records: Sequence[StageRecord],
        advice: Recommendation,
    ) -> Solution:
        """The answer of a look that the budget cut short."""
        assert self._last is not None
        return Solution(
            self._last.answer,
            self._last.outcome,
            Choice(look.policy, look.prm, self._last.plan),
            tuple(candidates),
            tuple(records),
            advice.accuracy,
            advice.tokens,
            advice.flops,
            self.spend,
        )

    def abstained(self, look: Look, records: Sequence[StageRecord], advice: Recommendation) -> Solution:
        """What there is where nothing more is worth trying."""
        answer = None if self._last is None else self._last.answer
        return Solution(
            answer,
            Outcome.ABSTAINED,
            advice.choice if self._last is None else Choice(look.policy, look.prm, self._last.plan),
            self._candidates,
            tuple(records),
            advice.accuracy,
            float(self.spend.tokens),
            self.spend.flops,
            self.spend,
        )

    async def _run(self, choice: Choice, prior: Sequence[Candidate]) -> Result:
        setting = self._setting(choice)
        ledger = self._ledger_for(setting, choice)
        known = prior
        if choice.prm is not None and prior and self._last is not None and self._scored_by != choice.prm:
            # rewards of another PRM say nothing here: they are scored anew, and charged
            known = [_unscored(candidate) for candidate in prior]
        seed = seed_of(self._seed, str(choice), self._problem.problem_id, len(prior))
        result = await run_plan(self._problem, choice.plan, setting, seed=seed, prior=known, ledger=ledger)
        if choice.prm is not None:
            self._scored_by = choice.prm
        return result

    _scored_by: str | None = None

    def _setting(self, choice: Choice) -> Setting:
        setting = self._settings.get((choice.policy, choice.prm))
        if setting is None and choice.prm is None:
            setting = next((s for (policy, _), s in self._settings.items() if policy == choice.policy), None)
        if setting is None:
            pairs = ", ".join(f"{policy} x {prm or '-'}" for policy, prm in self._settings)
            raise ArtefactError(f"a planner chooses among the models that are there ({pairs}), got {choice}")
        return setting

    def _ledger_for(self, setting: Setting, choice: Choice) -> Ledger:
        """The ledger that goes on, or a new one with what is left when the models change.

        A prompt counts once per model: the ledger of a policy goes on and takes in its first PRM.
        """
        policy = setting.engine.card
        prm = setting.reward.card if setting.reward is not None and choice.prm is not None else None
        held = self._ledger
        if held is not None and held.policy == policy and (prm is None or held.prm in (None, prm)):
            if prm is not None:
                held.prm = prm
            return held
        if held is not None:
            self._closed, self._ledger = self._closed + held.spend, None
        self._ledger = Ledger(_left(self._budget, self._closed), policy, prm)
        return self._ledger


def _unscored(candidate: Candidate) -> Candidate:
    return replace(candidate, step_rewards=())


def _budget(limits: Sequence[HardCap]) -> Budget:
    tokens = min((limit.tokens for limit in limits if limit.tokens is not None), default=None)
    flops = min((limit.flops for limit in limits if limit.flops is not None), default=None)
    return UNLIMITED if tokens is None and flops is None else Budget(tokens=tokens, flops=flops)


def _left(budget: Budget, spent: Spend) -> Budget:
    if budget.tokens is None and budget.flops is None:
        return budget
    return Budget(
        tokens=None if budget.tokens is None else max(0, budget.tokens - spent.tokens),
        flops=None if budget.flops is None else max(0.0, budget.flops - spent.flops),
    )


def _minus(after: Spend, before: Spend) -> Spend:
    return Spend(
        after.policy_tokens - before.policy_tokens,
        after.prm_tokens - before.prm_tokens,
        after.physical_policy_tokens - before.physical_policy_tokens,
        after.physical_prm_tokens - before.physical_prm_tokens,
        after.flops - before.flops,
        after.seconds - before.seconds,
    )


def _cards(settings: Settings) -> list[ModelCard]:
    cards = [setting.engine.card for setting in settings.values()]
    return [*cards, *(setting.reward.card for setting in settings.values() if setting.reward is not None)]
