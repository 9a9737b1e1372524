"""Sampling: whole solutions drawn independently, each scored as soon as it is finished.

What ``cot``, ``majority``, ``best_of_n`` and ``weighted_vote`` have in common; they differ in how
the answer is picked.

Equal solutions are sent to the PRM once. The logical cost counts each of them all the same: it is
a sum over draws, as in the search log, so that pools give the cost of every n.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from search.engines.protocol import ChildFinished, FinishReason, Sampling
from search.grading.registry import domain
from search.ledger import Ledger, Reservation
from search.problem import Problem
from search.result import Candidate, Result
from search.rewards.protocol import Scored
from search.strategies.kinds import Replay
from search.strategies.observer import Observer
from search.strategies.protocol import Setting, Strategy
from search.strategies.running.conclusion import concluded
from search.strategies.running.logprobs import summarize
from search.strategies.running.prior import score_prior
from search.strategies.running.session import Session
from search.strategies.running.steps import apportion, split
from search.voting.grouping import GRACE, read_answer

__all__ = ["SamplingStrategy", "candidate_of", "finish"]


def candidate_of(
    problem: Problem, child: ChildFinished, delimiter: str, *, read: Sequence[str | None] = ()
) -> Candidate:
    """A finished child that wrote a whole solution, as an unscored candidate.

    ``read``: its answer, where that has been read already.
    """
    step_tokens = apportion(split(child.text, delimiter), len(child.token_ids))
    logprobs = summarize(child.logprobs, step_tokens)
    return Candidate(
        text=child.text,
        answer=read[0] if read else domain(problem.domain).read(problem, child.text),
        step_rewards=(),
        step_tokens=step_tokens,
        finish_reason=child.finish_reason,
        mean_logprob=logprobs.mean,
        min_logprob=logprobs.minimum,
        lowest_window_logprob=logprobs.lowest_window,
        step_logprobs=logprobs.steps,
        mean_entropy=child.mean_entropy,
        mean_confidence=child.mean_confidence,
        lowest_confidence=child.lowest_confidence,
        token_ids=child.token_ids,
        thought=child.thought,
        thought_tokens=child.thought_tokens,
        thought_cut=child.thought_cut or child.finish_reason == FinishReason.THOUGHT,
    )


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
        before, plan = ledger.spend, self.plan
        async with Session(problem, plan, setting, ledger) as session:
            earlier = score_prior(session, prior)
            drawn: dict[int, asyncio.Task[Candidate]] = {}
            scoring: dict[tuple[str, ...], asyncio.Task[Scored]] = {}

            missing = max(0, (self.samples if most is None else most) - len(prior))
            telling = None if setting.observer is None else _Telling(setting.observer, session, missing)
            if telling is not None:
                earlier = [session.spawn(telling.prior(at, task)) for at, task in enumerate(earlier)]

            def on_child(index: int, child: ChildFinished, held: Reservation) -> None:
                read = partial(finish, session, problem, child, held, scoring)
                place = len(prior) + index
                # begun in the task: a coroutine that it was given would never be awaited where it never ran
                drawn[index] = session.spawn(read() if telling is None else telling.drawn(place, read))

            for candidate in prior:
                session.expect(candidate.tokens)
            await session.draw((), missing, seed, on_child, sampling=self.sampling(setting))
            if telling is not None:
                telling.cut()
            candidates = await asyncio.gather(*earlier, *(drawn[index] for index in sorted(drawn)))
            return await concluded(
                problem,
                plan,
                candidates,
                ledger=ledger,
                before=before,
                is_over=session.is_over,
                failure=session.failure,
            )


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


async def finish(
    session: Session,
    problem: Problem,
    child: ChildFinished,
    held: Reservation,
    scoring: dict[tuple[str, ...], asyncio.Task[Scored]],
) -> Candidate:
    """A finished child as a candidate, scored where the run asks a PRM; equal solutions are sent once."""
    seconds = max(session.ledger.seconds_left, GRACE)
    answer = await read_answer(problem, domain(problem.domain), child.text, seconds=seconds)
    candidate = candidate_of(problem, child, session.setting.delimiter, read=(answer,))
    steps = split(child.text, session.setting.delimiter)
    if not steps or not session.is_scorable(steps):
        held.release()
        return candidate
    if steps not in scoring:
        scoring[steps] = session.spawn(session.score(session.open(), steps, held))
        return replace(candidate, step_rewards=(await scoring[steps]).rewards)
    shared = await session.share_scoring(steps, held, scoring[steps])
    return replace(candidate, step_rewards=shared.rewards)
