"""A dialogue: what a run asks the policy about answers that are there already, one prompt after another.

Each prompt is a request of its own within the run's ledger, drawn greedily. What does not fit the budget, the
time or the context is not asked, and the run goes on without: nothing is charged for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from search.engines.protocol import ChildFinished, Sampling
from search.errors import ContextError, EngineError
from search.ledger import Ledger, Reservation
from search.plan import Plan
from search.problem import Problem
from search.result import Call, Candidate, Result, Spend
from search.strategies.protocol import Setting
from search.strategies.running.candidates import finish, outcome_of
from search.strategies.running.session import Session

__all__ = ["GREEDY", "Dialogue"]

#: how everything about earlier answers is written
GREEDY = Sampling(temperature=0.0)


class Dialogue:
    """What one run asks further.

    Parameters
    ----------
    problem, plan, setting, ledger:
        As ``Strategy.run`` takes them.

    ``calls`` holds what came back. ``failure`` is the policy's, where the observer lets the run conclude
    without it; ``is_over``: whether the deadline has passed. ``jail_seconds`` is counted up by whoever runs
    programs.
    """

    def __init__(self, problem: Problem, plan: Plan, setting: Setting, ledger: Ledger) -> None:
        self.problem = problem
        self.plan = plan
        self.setting = setting
        self.ledger = ledger
        self.calls: list[Call] = []
        self.failure: EngineError | None = None
        self.jail_seconds = 0.0
        self._began = ledger.spend

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.ledger.seconds_left <= 0.0

    @property
    def ends(self) -> bool:
        """Whether nothing more can be asked: the time is up, or the policy is gone."""
        return self.is_over or self.failure is not None

    async def remark(self, kind: str, text: str, *, seed: int, least: int) -> str | None:
        """What the policy writes about solutions; None where that could not be had.

        ``least``: tokens below which it is not worth asking.
        """
        child = await self.reply(kind, text, seed=seed, least=least)
        return None if child is None else child.text

    async def reply(self, kind: str, text: str, *, seed: int, least: int) -> ChildFinished | None:
        """``remark``, with all that is known of it."""
        found = await self._ask(kind, text, seed, least, bare=True)
        return None if found is None else found[0]

    async def solution(self, kind: str, text: str, *, seed: int, least: int) -> Candidate | None:
        """Another solution, in the words in which the policy is asked for one, and scored where the plan asks
        a PRM; None where that could not be had."""
        found = await self._ask(kind, text, seed, least, bare=False)
        return None if found is None else found[1]

    def affords(self, first: str, least: int, then: str, after: int) -> bool:
        """Whether a remark and, after it, a solution of so many tokens fit budget and context. What the
        remark itself will say stands in the second prompt too: ``after`` counts that in."""
        engine = self.setting.engine
        try:
            prompts = len(engine.turn(first)), len(engine.prompt(then))
        except ContextError:
            return False
        return prompts[1] + after <= engine.card.context and bool(
            self.ledger.affordable(
                1, policy_tokens=least + after, policy_prompt=sum(prompts), prompt=("both", first, then)
            )
        )

    async def _ask(
        self, kind: str, text: str, seed: int, least: int, *, bare: bool
    ) -> tuple[ChildFinished, Candidate | None] | None:
        if self.ends:
            return None
        try:
            session = Session(
                self.problem,
                self.plan,
                self.setting,
                self.ledger,
                question=text,
                bare=bare,
                scored=not bare,
            )
        except ContextError:
            return None
        children: list[ChildFinished] = []
        written: list[asyncio.Task[Candidate]] = []

        def on_child(_: int, child: ChildFinished, held: Reservation) -> None:
            children.append(child)
            if bare:
                held.release()
            else:
                written.append(session.spawn(finish(session, child, held, {})))

        async with session:
            session.expect(least)
            try:
                await session.draw((), 1, seed, on_child, sampling=GREEDY)
            except ContextError:  # by the count of a server's own tokenizer
                return None
            self.failure = self.failure or session.failure
            candidates = await asyncio.gather(*written)
        if not children:
            return None
        tokens = len(children[0].token_ids) + children[0].lost_tokens
        self.calls.append(Call(kind, children[0].text, len(session.prompt), tokens))
        return children[0], candidates[0] if candidates else None

    async def tell(self, place: int, candidate: Candidate, missing: int) -> None:
        """Tell the observer of a solution."""
        if self.setting.observer is not None:
            await self.setting.observer.drawn(place, candidate, missing)

    def result(
        self, candidates: Sequence[Candidate], chosen: int | None, *, before: Spend | None = None
    ) -> Result:
        """The run's result where ``chosen`` of the candidates answers; None: no answer can be read.

        Raises the policy's failure where there is none.
        """
        if chosen is None and self.failure is not None:
            raise self.failure
        return Result(
            problem_id=self.problem.problem_id,
            plan=self.plan,
            candidates=tuple(candidates),
            answer=None if chosen is None else candidates[chosen].answer,
            chosen=chosen,
            outcome=outcome_of(candidates, chosen, is_over=self.is_over),
            spend=self.ledger.since(self._began if before is None else before),
            calls=tuple(self.calls),
            jail_seconds=self.jail_seconds,
        )

    def added(self, result: Result) -> Result:
        """A result with what was asked further counted in."""
        return replace(
            result,
            spend=self.ledger.since(self._began),
            calls=(*result.calls, *self.calls),
            jail_seconds=result.jail_seconds + self.jail_seconds,
        )
