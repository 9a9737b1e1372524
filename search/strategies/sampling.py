"""Sampling: whole solutions drawn independently, each scored as soon as it is finished.

What ``cot``, ``majority``, ``best_of_n`` and ``weighted_vote`` have in common; they differ in how
the answer is picked.

Equal solutions are sent to the PRM once. The logical cost counts each of them all the same: it is
a sum over draws, as in the search log, so that pools give the cost of every n.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from search.engines.protocol import ChildFinished, Sampling
from search.ledger import Ledger, Reservation
from search.problem import Problem
from search.result import Candidate, Result
from search.rewards.protocol import Scored
from search.strategies.kinds import Replay
from search.strategies.observer import Observer
from search.strategies.protocol import Setting, Strategy
from search.strategies.running.candidates import conclude, finish, score_prior
from search.strategies.running.session import Session

__all__ = ["SamplingStrategy"]


class SamplingStrategy(Strategy):
    """Draws n solutions with one request, prior candidates counted in, and votes.

    A budget that does not hold n samples gives fewer candidates; ``len(result.candidates)`` tells. A PRM that
    fails ends the run, and with it the drawing: what is still being written is charged as far as it came.
    ``Limits.max_steps`` does not bind here: nothing stops a sample between steps.
    """

    @property
    def replays(self) -> Replay:
        return Replay.VOTE

    def sampling(self, setting: Setting) -> Sampling:
        """How tokens are drawn."""
        return setting.sampling

    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        return await self.drawn(problem, setting, ledger, seed=seed, prior=prior)

    async def drawn(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
        most: int | None = None,
    ) -> Result:
        """The solutions and their vote. ``most``: how many, prior ones counted in; None: ``samples``."""
        plan = self.plan
        async with Session(problem, plan, setting, ledger) as session:
            earlier = score_prior(session, prior)
            drawn: dict[int, asyncio.Task[Candidate]] = {}
            scoring: dict[tuple[str, ...], asyncio.Task[Scored]] = {}

            missing = max(0, (self.samples if most is None else most) - len(prior))
            telling = None if setting.observer is None else _Telling(setting.observer, session, missing)
            if telling is not None:
                earlier = [session.spawn(telling.prior(at, task)) for at, task in enumerate(earlier)]

            def on_child(index: int, child: ChildFinished, held: Reservation) -> None:
                read = partial(finish, session, child, held, scoring)
                place = len(prior) + index
                # begun in the task: a coroutine that it was given would never be awaited where it never ran
                drawn[index] = session.spawn(read() if telling is None else telling.drawn(place, read))

            for candidate in prior:
                session.expect(candidate.tokens)
            await session.draw((), missing, seed, on_child, sampling=self.sampling(setting))
            if telling is not None:
                telling.cut()
            candidates = await asyncio.gather(*earlier, *(drawn[index] for index in sorted(drawn)))
            return await conclude(session, candidates)


class _Telling:
    """Tells an observer of each candidate, and ends the drawing when it says so."""

    def __init__(self, observer: Observer, session: Session, missing: int) -> None:
        self._observer = observer
        self._session = session
        self._missing = missing
        self._is_ended = False

    def cut(self) -> None:
        if self._is_ended:
            self._observer.cut(self._session.cut)

    async def prior(self, place: int, work: asyncio.Task[Candidate]) -> Candidate:
        return await self._told(place, await work)

    async def drawn(self, place: int, read: Callable[[], Awaitable[Candidate]]) -> Candidate:
        candidate = await read()
        self._missing -= 1
        return await self._told(place, candidate)

    async def _told(self, place: int, candidate: Candidate) -> Candidate:
        if await self._observer.drawn(place, candidate, self._missing):
            self._is_ended = True
            self._session.end_drawing()
        return candidate
