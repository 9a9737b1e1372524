"""Growing: beams, and the step-by-step search that ``beam_search`` and ``dvts`` are made of.

Rules, and where they come from:

- A tree has ``places``. Every beam in flight takes one, and a finished beam keeps its own, so a
  tree ends with at most as many candidates as places (Snell et al., arXiv 2408.03314, section 5.2:
  "N final answer candidates"; OpenR's search, used by arXiv 2502.06703, likewise lets a finished
  beam occupy its slot). search-and-learn sets finished beams aside and refills all n places until
  every one ends in the same step, which costs more for the same pool.
- Of the unfinished beams, ceil(free places / width) survive, those with the highest ``prune`` score
  of all their steps; equals go to the earlier draw. Until a beam finishes that is n / width, each
  expanded width times.
- Equal beams (the same text) merge before they are scored: one scoring, one survivor. The places
  that duplicates leave free are shared out evenly over the survivors, best first, so that places
  stay filled (search-and-learn repeats its beams to the same end). Finished duplicates
  each keep their place and their vote, and share one scoring.
- A finished beam is neither expanded nor scored again. Beams that the step, token or context limit
  ends are finished too. Discarded ones have been charged as they were drawn.

Children are scored as soon as each is finished, while their siblings are still being written.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.budget import Reservation
from search.engines.protocol import ChildFinished, FinishReason
from search.grading.registry import domain
from search.logprobs import summarize
from search.problem import Problem
from search.result import Candidate
from search.rewards.protocol import Handle, Scored
from search.scores import score
from search.seeds import seed_of
from search.strategies.observer import BeamEvent, Observer
from search.strategies.session import Session
from search.strategies.steps import split

__all__ = ["Beam", "Grower"]


@dataclass(frozen=True, slots=True)
class Beam:
    """A solution so far. ``finish_reason`` is "" while it can go on.

    ``step_tokens`` sum to ``len(token_ids)``: tokens of a blank line belong to the step before it,
    or to the first one. ``rounds`` counts expansions, blank lines included.
    """

    token_ids: tuple[int, ...]
    text: str
    steps: tuple[str, ...]
    step_tokens: tuple[int, ...]
    step_rewards: tuple[float, ...]
    logprobs: tuple[float, ...]
    handle: Handle
    seed: int
    rounds: int = 0
    finish_reason: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether it is neither expanded nor scored any more."""
        return self.finish_reason != ""

    @property
    def is_scored(self) -> bool:
        """Whether every step has its reward."""
        return len(self.step_rewards) == len(self.steps)

    def candidate(self, problem: Problem) -> Candidate:
        """This finished beam as a candidate."""
        logprobs = summarize(self.logprobs, self.step_tokens)
        return Candidate(
            text=self.text,
            answer=domain(problem.domain).read(problem, self.text),
            step_rewards=self.step_rewards,
            step_tokens=self.step_tokens,
            finish_reason=self.finish_reason,
            mean_logprob=logprobs.mean,
            min_logprob=logprobs.minimum,
            lowest_window_logprob=logprobs.lowest_window,
            step_logprobs=logprobs.steps,
            token_ids=self.token_ids,
        )


class Grower:
    """Grows trees within one session. Several trees grow side by side, none waiting for another.

    Parameters
    ----------
    session:
        Of a plan that needs a PRM.
    prune:
        The score that steers.
    """

    def __init__(self, session: Session, prune: str) -> None:
        self._session = session
        self._setting = session.setting
        self._prune = prune
        self._scorings: dict[tuple[str, ...], asyncio.Task[Scored]] = {}

    def root(self, seed: int) -> Beam:
        """The beam that has written nothing."""
        return Beam((), "", (), (), (), (), self._session.open(), seed)

    def expand(self, beam: Beam, count: int) -> list[asyncio.Future[Beam | None]]:
        """``count`` children of a beam, each there as soon as it is written and scored.

        None where no budget or no time was left to draw or to score the child. A child's seed, and
        so its own children, depends on its place in the tree and on nothing else.
        """
        loop = asyncio.get_running_loop()
        children: list[asyncio.Future[Beam | None]] = [loop.create_future() for _ in range(count)]
        self._session.spawn(self._expand(beam, children))
        return children

    async def grow(
        self, children: Sequence[asyncio.Future[Beam | None]], places: int, width: int
    ) -> list[Beam]:
        """Grow a tree from its first beams until all places are finished; the finished beams.

        In the order of their step, then of their draw. Ends early, with fewer, when the budget or
        the time does.
        """
        finished: list[Beam] = []
        while True:
            beams = [beam for beam in await asyncio.gather(*children) if beam is not None]
            finished += [beam for beam in beams if beam.is_finished]
            free = places - len(finished)
            survivors = self._survivors(beams, math.ceil(free / width))
            if self._setting.observer is not None:
                self._tell(self._setting.observer, beams, survivors)
            if not survivors:
                return finished
            share, more = divmod(free, len(survivors))
            children = [
                child
                for rank, beam in enumerate(survivors)
                for child in self.expand(beam, share + (rank < more))
            ]

    def _survivors(self, beams: Sequence[Beam], most: int) -> list[Beam]:
        distinct = {beam.text: beam for beam in reversed(beams) if not beam.is_finished}
        order = {beam.text: place for place, beam in reversed(list(enumerate(beams)))}
        ranked = sorted(
            distinct.values(), key=lambda beam: (-score(beam.step_rewards, self._prune), order[beam.text])
        )
        return ranked[:most]

    def _tell(self, observer: Observer, beams: Sequence[Beam], survivors: Sequence[Beam]) -> None:
        kept = [beam.seed for beam in survivors]
        observer.pruned(kept, [b.seed for b in beams if not b.is_finished and b.seed not in kept])

    async def _expand(self, beam: Beam, children: list[asyncio.Future[Beam | None]]) -> None:
        scored: list[asyncio.Task[None]] = []

        def on_child(index: int, child: ChildFinished, held: Reservation) -> None:
            scored.append(self._session.spawn(self._finish(beam, index, child, held, children[index])))

        try:
            await self._session.draw(
                beam.token_ids,
                len(children),
                beam.seed,
                on_child,
                sampling=self._setting.sampling,
                stop=(self._setting.delimiter,),
            )
            await asyncio.gather(*scored)
        except Exception as error:
            for future in children:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # a tree that was cancelled meanwhile never looks
        else:
            for future in children:
                if not future.done():
                    future.set_result(None)

    async def _finish(
        self,
        parent: Beam,
        index: int,
        child: ChildFinished,
        held: Reservation,
        future: asyncio.Future[Beam | None],
    ) -> None:
        beam = self._child(parent, index, child)
        if beam.is_scored:  # a blank line, or an end right after the last step
            self._session.give_back(held)
        elif not self._session.is_scorable(beam.steps):
            self._session.give_back(held)
            beam = replace(beam, finish_reason=beam.finish_reason or FinishReason.LENGTH)
        else:
            scored = await self._score(parent, beam, held)
            beam = replace(beam, step_rewards=parent.step_rewards + scored.rewards, handle=scored.handle)
        grown = beam.is_finished or beam.is_scored
        if grown and self._setting.observer is not None:
            await self._setting.observer.grown(
                BeamEvent(
                    beam.seed,
                    parent.seed,
                    len(beam.steps),
                    child.text,
                    beam.step_rewards[-1] if beam.is_scored and beam.steps else None,
                    len(child.token_ids),
                    beam.finish_reason,
                )
            )
        if not future.done():
            future.set_result(beam if grown else None)

    async def _score(self, parent: Beam, beam: Beam, held: Reservation) -> Scored:
        if beam.steps in self._scorings:
            self._session.give_back(held)
        else:
            new = beam.steps[len(parent.steps) :]
            self._scorings[beam.steps] = self._session.spawn(self._session.score(parent.handle, new, held))
        return await self._scorings[beam.steps]

    def _child(self, parent: Beam, index: int, child: ChildFinished) -> Beam:
        """What the parent became by what the child wrote, before it is scored."""
        new = split(child.text, self._setting.delimiter)
        tokens, spent = list(parent.step_tokens), len(child.token_ids)
        if new and len(tokens) == len(parent.steps):
            tokens.append(spent)
        elif tokens:  # a blank line, or the first step after blank lines
            tokens[-1] += spent
        else:
            tokens.append(spent)
        token_ids = parent.token_ids + child.token_ids
        rounds = parent.rounds + 1
        reason = child.finish_reason
        if reason == FinishReason.STOP:
            if self._session.room(len(token_ids)) < 1:
                reason = FinishReason.LENGTH
            elif rounds < self._setting.limits.max_steps:
                reason = ""
        return Beam(
            token_ids=token_ids,
            text=parent.text + child.text,
            steps=parent.steps + new,
            step_tokens=tuple(tokens),
            step_rewards=parent.step_rewards,
            logprobs=parent.logprobs + child.logprobs,
            handle=parent.handle,
            seed=seed_of(parent.seed, "child", index),
            rounds=rounds,
            finish_reason=reason,
        )
