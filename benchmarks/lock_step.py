"""The loop that known systems run: one problem at a time, in lock-step. No slower than it must be.

What compute-optimal-tts, search-and-learn, its_hub and thinkbooster have in common, as far as they have
it (each does more work somewhere): every beam is a request of its own, a step waits for its slowest
beam, whole prefixes are scored from the start in batches of 8, finished beams again at every step.
Prompts stay token ids here, where they render and tokenise again, and equal prefixes of a batch are
scored once. The numbers of beams are those of ``search.strategies.trees.growing``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from search.engines.protocol import ChildFinished, Engine, FinishReason, Request, Sampling
from search.plan import Plan
from search.problem import Problem
from search.rewards.protocol import Reward
from search.scores import score, split
from search.seeds import seed_of
from search.strategies.protocol import Limits

__all__ = ["Work", "lock_step"]

#: whole prefixes that are scored at a time
_BATCH = 8


@dataclass(slots=True)
class Work:
    """What a run has done. ``whole``: PRM tokens of whole prefixes, prompts included."""

    generated: int = 0
    children: int = 0
    prm: int = 0
    whole: int = 0


@dataclass(slots=True)
class _Beam:
    tokens: tuple[int, ...] = ()
    text: str = ""
    rewards: tuple[float, ...] = ()
    is_finished: bool = False
    steps: tuple[str, ...] = field(default=())


async def lock_step(
    problem: Problem, plan: Plan, engine: Engine, reward: Reward, limits: Limits, seed: int, work: Work
) -> None:
    """Run a ``best_of_n``, ``beam_search`` or ``dvts`` plan, counting into ``work``. No answer is picked."""
    prompt = engine.prompt(problem.question)
    if plan.strategy == "best_of_n":
        request = Request(prompt, plan.n, limits.max_tokens, Sampling(), seed, logprobs=True)
        await _score(problem, await _draw([_Beam()], [request], work, engine, limits), reward, work)
        return
    trees = 1 if plan.strategy == "beam_search" else plan.n // plan.width
    places = plan.n // trees
    growing = [[_Beam() for _ in range(places)] for _ in range(trees)]
    finished: list[list[_Beam]] = [[] for _ in range(trees)]
    for step in range(limits.max_steps):
        parents = [(tree, beam) for tree, beams in enumerate(growing) for beam in beams]
        if not parents:
            return
        requests = [
            Request(
                prompt + beam.tokens, 1, limits.max_tokens - len(beam.tokens), Sampling(),
                seed_of(seed, step, i), ("\n",), logprobs=True,
            )
            for i, (_, beam) in enumerate(parents)
        ]  # fmt: skip
        grown = await _draw([beam for _, beam in parents], requests, work, engine, limits)
        await _score(problem, [*grown, *(beam for beams in finished for beam in beams)], reward, work)
        for tree in range(trees):
            mine = [beam for (owner, _), beam in zip(parents, grown, strict=True) if owner == tree]
            finished[tree] += [beam for beam in mine if beam.is_finished]
            left = [beam for beam in mine if not beam.is_finished]
            left.sort(key=lambda beam: -score(beam.rewards, plan.prune or "last"))
            free = places - len(finished[tree])
            best = left[: -(-free // plan.width)]
            growing[tree] = [best[i % len(best)] for i in range(free)] if best else []


async def _draw(
    parents: list[_Beam], requests: list[Request], work: Work, engine: Engine, limits: Limits
) -> list[_Beam]:
    async def one(parent: _Beam, request: Request) -> list[_Beam]:
        grown = []
        async for event in engine.submit(request):
            if isinstance(event, ChildFinished):
                text, tokens = parent.text + event.text, parent.tokens + event.token_ids
                ended = event.finish_reason != FinishReason.STOP or len(tokens) >= limits.max_tokens
                grown.append(_Beam(tokens, text, (), ended, split(text, "\n")))
                work.generated += len(event.token_ids)
                work.children += 1
        return grown

    each = await asyncio.gather(*(one(*pair) for pair in zip(parents, requests, strict=True)))
    return [beam for beams in each for beam in beams]


async def _score(problem: Problem, beams: list[_Beam], reward: Reward, work: Work) -> None:
    async def one(beam: _Beam) -> None:
        prompt, steps = reward.count(problem.question, beam.steps)
        if not beam.steps or prompt + steps > reward.card.context:
            beam.is_finished, beam.rewards = True, beam.rewards or (0.0,)
            return
        scored = await reward.extend(reward.open(problem.question), beam.steps)
        beam.rewards = scored.rewards
        work.prm += scored.usage.physical_tokens
        work.whole += prompt + steps

    for start in range(0, len(beams), _BATCH):
        await asyncio.gather(*(one(beam) for beam in beams[start : start + _BATCH]))
