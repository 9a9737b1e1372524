"""Growing: beams, and the step-by-step searches that the tree strategies are made of.

A tree grows in rounds: all its beams write a step, and a rule (``Sharing``) says which unfinished ones go on
and how often. Rules that all trees keep, and where they come from:

- A tree has ``places``. Every beam in flight takes one, and a finished beam keeps its own, so a
  tree ends with at most as many candidates as places (Snell et al., arXiv 2408.03314, section 5.2:
  "N final answer candidates"; OpenR's search, used by arXiv 2502.06703, likewise lets a finished
  beam occupy its slot). search-and-learn sets finished beams aside and refills all n places until
  every one ends in the same step, which costs more for the same pool.
- Under ``best_of_beams``, ceil(free places / width) of the unfinished beams survive, those with the highest
  ``prune`` score of all their steps; equals go to the earlier draw. Until a beam finishes that is n / width,
  each expanded width times.
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
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from search.engines.protocol import ChildFinished, FinishReason, Sampling
from search.grading.registry import domain
from search.ledger import Reservation
from search.problem import Problem
from search.result import Candidate
from search.rewards.protocol import Handle, Scored
from search.scores import score, split
from search.seeds import seed_of
from search.strategies.observer import BeamEvent, Observer
from search.strategies.running.candidates import summarize
from search.strategies.running.session import Session

__all__ = ["Beam", "Children", "Grower", "Sharing", "best_of_beams", "distinct", "survivors"]

#: how steps are drawn that look ahead
_GREEDY = Sampling(temperature=0.0)


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


#: children of beams on their way: None where no budget or no time was left for one
Children = Sequence[asyncio.Future[Beam | None]]

#: (unfinished beams in the order of their draw, free places) -> who goes on, with how many children
Sharing = Callable[[Sequence[Beam], int], Awaitable[Sequence[tuple[Beam, int]]]]


def distinct(beams: Sequence[Beam]) -> list[Beam]:
    """The first beam of each text, in order."""
    found: dict[str, Beam] = {}
    for beam in beams:
        found.setdefault(beam.text, beam)
    return list(found.values())


def survivors(
    beams: Sequence[Beam], values: Sequence[float], places: int, width: int
) -> list[tuple[Beam, int]]:
    """The ceil(places / width) beams of the highest value, with the places shared out evenly, best first.

    ``beams`` differ in text; equal values go to the earlier one.
    """
    ranked = sorted(range(len(beams)), key=lambda place: (-values[place], place))
    kept = [beams[place] for place in ranked[: math.ceil(places / width)]]
    share, more = divmod(places, max(len(kept), 1))
    return [(beam, share + (rank < more)) for rank, beam in enumerate(kept)]


def best_of_beams(width: int, prune: str) -> Sharing:
    """The rule of beam search: see above."""

    async def share(beams: Sequence[Beam], places: int) -> list[tuple[Beam, int]]:
        own = distinct(beams)
        return survivors(own, [score(beam.step_rewards, prune) for beam in own], places, width)

    return share


class Grower:
    """Grows trees within one session. Several trees grow side by side, none waiting for another.

    Parameters
    ----------
    session:
        Of a plan that needs a PRM.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._setting = session.setting
        self._scorings: dict[tuple[str, ...], asyncio.Task[Scored]] = {}

    def root(self, seed: int) -> Beam:
        """The beam that has written nothing."""
        return Beam((), "", (), (), (), (), self._session.open(), seed)

    def expand(self, beam: Beam, count: int) -> list[asyncio.Future[Beam | None]]:
        """``count`` children of a beam, each there as soon as it is written and scored.

        None where no budget or no time was left to draw or to score the child. A child's seed, and
        so its own children, depends on its place in the tree and on nothing else.
        """
        return self._children(beam, count, self._setting.sampling, self._setting.observer)

    async def look_ahead(self, beam: Beam, depth: int) -> Beam:
        """A beam after up to ``depth`` further steps at temperature 0, each scored; fewer where the solution,
        the budget or the time ends. Charged like any steps. It is no part of the tree: nobody is told."""
        ahead = replace(beam, seed=seed_of(beam.seed, "ahead"))
        while not ahead.is_finished and len(ahead.steps) < len(beam.steps) + depth:
            (child,) = await asyncio.gather(*self._children(ahead, 1, _GREEDY, None))
            if child is None:
                break
            ahead = child
        return ahead

    async def grow(self, children: Children, places: int, sharing: Sharing) -> list[Beam]:
        """Grow a tree from its first beams until all places are finished; the finished beams.

        In the order of their step, then of their draw. Ends early, with fewer, when the budget or
        the time does.
        """
        finished: list[Beam] = []
        while True:
            beams = [beam for beam in await asyncio.gather(*children) if beam is not None]
            finished += [beam for beam in beams if beam.is_finished]
            unfinished = [beam for beam in beams if not beam.is_finished]
            shares = await sharing(unfinished, places - len(finished)) if unfinished else ()
            self.tell(unfinished, [beam for beam, _ in shares])
            if not shares:
                return finished
            children = [child for beam, count in shares for child in self.expand(beam, count)]

    def tell(self, unfinished: Sequence[Beam], kept: Sequence[Beam]) -> None:
        """Tell the observer, where there is one, which unfinished beams go on and which do not."""
        if self._setting.observer is not None:
            going = [beam.seed for beam in kept]
            self._setting.observer.pruned(going, [b.seed for b in unfinished if b.seed not in going])

    def _children(
        self, beam: Beam, count: int, sampling: Sampling, observer: Observer | None
    ) -> list[asyncio.Future[Beam | None]]:
        loop = asyncio.get_running_loop()
        children: list[asyncio.Future[Beam | None]] = [loop.create_future() for _ in range(count)]
        self._session.spawn(self._expand(beam, children, sampling, observer))
        return children

    async def _expand(
        self,
        beam: Beam,
        children: list[asyncio.Future[Beam | None]],
        sampling: Sampling,
        observer: Observer | None,
    ) -> None:
        scored: list[asyncio.Task[None]] = []

        def on_child(index: int, child: ChildFinished, held: Reservation) -> None:
            finish = self._finish(beam, index, child, held, children[index], observer)
            scored.append(self._session.spawn(finish))

        try:
            await self._session.draw(
                beam.token_ids,
                len(children),
                beam.seed,
                on_child,
                sampling=sampling,
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
        observer: Observer | None,
    ) -> None:
        beam = self._child(parent, index, child)
        if beam.is_scored:  # a blank line, or an end right after the last step
            held.release()
        elif not self._session.is_scorable(beam.steps):
            held.release()
            beam = replace(beam, finish_reason=beam.finish_reason or FinishReason.LENGTH)
        else:
            scored = await self._score(parent, beam, held)
            beam = replace(beam, step_rewards=parent.step_rewards + scored.rewards, handle=scored.handle)
        grown = beam.is_finished or beam.is_scored
        if grown and observer is not None:
            await observer.grown(
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
            held.release()
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
