"""Tree searches: what ``beam_search`` and ``dvts`` have in common, from prior to conclusion."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence

from search.budget import Ledger
from search.errors import PlanError
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Result
from search.strategies.conclusion import concluded
from search.strategies.growing import Beam, Grower
from search.strategies.prior import score_prior
from search.strategies.protocol import Setting, Strategy
from search.strategies.session import Session

__all__ = ["TreeStrategy"]


class TreeStrategy(Strategy):
    """Searches with a PRM, then votes over the finished beams, prior candidates first.

    When the budget or the time ends, the answer comes from what is finished.
    """

    @abstractmethod
    async def search(self, grower: Grower, seed: int, n: int, width: int) -> list[Beam]:
        """The finished beams, in a fixed order."""

    async def run(
        self,
        problem: Problem,
        plan: Plan,
        setting: Setting,
        ledger: Ledger,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        before = ledger.spend
        async with Session(self.name, problem, plan, setting, ledger) as session:
            if plan.prune is None or plan.vote is None:
                raise PlanError(f"a tree search needs prune and vote, got {plan}")
            earlier = score_prior(session, prior)
            finished = await self.search(Grower(session, plan.prune), seed, plan.n, plan.width)
            candidates = [*await asyncio.gather(*earlier), *(beam.candidate(problem) for beam in finished)]
            return await concluded(
                problem,
                plan,
                plan.vote,
                candidates,
                ledger,
                before,
                is_over=session.is_over,
                failure=session.failure,
            )
