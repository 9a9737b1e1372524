"""Parts: one choice inside a plan of several, run with its own models within the request's ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.choice import Choice
from search.errors import EngineError
from search.ledger import Ledger
from search.problem import Problem
from search.result import Candidate, Result
from search.strategies.observer import BeamEvent, Observer
from search.strategies.protocol import Setting

__all__ = ["run_part"]


async def run_part(
    choice: Choice,
    problem: Problem,
    setting: Setting,
    ledger: Ledger,
    *,
    seed: int,
    prior: Sequence[Candidate] = (),
    shown: int = 0,
) -> Result:
    """Run one part of a plan. Its spend is in the request's ledger.

    Parameters
    ----------
    shown:
        How many candidates of earlier parts an observer has heard of: this part's follow them.

    Raises as ``Strategy.run`` does.
    """
    own = setting.of(choice)
    observer = None if setting.observer is None else _Part(setting.observer, shown)
    part = replace(own, observer=observer, pairs=setting.pairs, cancel_within=setting.cancel_within)
    prm = part.reward.card if part.reward is not None and choice.prm is not None else None
    books = ledger.beside(part.engine.card, prm)
    return await choice.plan.described.start(problem, part, books, seed=seed, prior=prior)


@dataclass(slots=True)
class _Part(Observer):
    """Passes on what a part tells, and ends nothing: when a part is done the whole plan says."""

    whole: Observer
    shown: int

    async def drawn(self, draw: int, candidate: Candidate, missing: int) -> bool:
        await self.whole.drawn(self.shown + draw, candidate, missing)
        return False

    def failed(self, error: EngineError) -> bool:
        return self.whole.failed(error)

    async def grown(self, event: BeamEvent) -> None:
        await self.whole.grown(event)

    def pruned(self, kept: Sequence[int], dropped: Sequence[int]) -> None:
        self.whole.pruned(kept, dropped)
