"""``particle_filter(n, prune, score, vote)``: partial solutions are drawn anew by their rewards at each step.

Puri, Sudalairaj, Xu, Xu and Srivastava, "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs
using Particle-Based Monte Carlo Methods" (arXiv 2502.01618), algorithm 1: n particles write a step each;
while one of them has not ended, all n are drawn anew, with replacement, with the probabilities

    theta_i = exp(w_i) / sum_k exp(w_k)    (section 3.1, resampling),

and those that have not ended write another step. A particle that has ended takes part: it may be drawn more
than once, which is its weight, or not at all. w is the logit of the PRM's reward r (the paper's figure of a
resampling shows such rewards, and the authors' code inverts the sigmoid), so that theta_i is proportional to
r_i / (1 - r_i). ``prune`` says which reward of a partial solution r is: ``last`` as in the authors' code, or
``prod`` as in the paper's likelihood (equation (2)).
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from search.scores import SCORES, score
from search.seeds import seed_of
from search.strategies.fields import one_of, whole
from search.strategies.trees.growing import Beam, Grower
from search.strategies.trees.tree import TreeSearch
from search.voting.votes import VOTES

__all__ = ["ParticleFilter", "resampled", "shares"]

#: rewards are kept so far from 0 and 1, whose logits are infinite
_EDGE = 1e-7


def shares(rewards: Sequence[float]) -> list[float]:
    """theta: the probability with which each particle is drawn.

    >>> [round(share, 3) for share in shares([0.5, 0.8, 0.5])]
    [0.167, 0.667, 0.167]
    """
    inside = [min(max(reward, _EDGE), 1.0 - _EDGE) for reward in rewards]
    odds = [reward / (1.0 - reward) for reward in inside]
    total = math.fsum(odds)
    return [each / total for each in odds]


def resampled(rewards: Sequence[float], seed: int) -> list[int]:
    """As many places as there are rewards, each drawn by ``shares``; in ascending order."""
    return sorted(Random(seed).choices(range(len(rewards)), weights=shares(rewards), k=len(rewards)))


@dataclass(frozen=True)
class ParticleFilter(TreeSearch):
    """n particles. Where the budget or the time ends first, those that had ended compete although they were
    not drawn."""

    name = "particle_filter"
    caption = "n partial solutions, drawn anew by their rewards after every step"

    n: int = whole(16)
    prune: str = one_of(SCORES, "last")
    score: str = one_of(SCORES, "last")
    vote: str = one_of(VOTES, "max")

    async def search(self, grower: Grower, seed: int) -> list[Beam]:
        """The particles in the end; copies of one are its weight."""
        particles = await _written(grower.expand(grower.root(seed), self.n))
        ended = {beam.seed: beam for beam in particles if beam.is_finished}
        time = 1
        while any(not beam.is_finished for beam in particles):
            rewards = [score(beam.step_rewards, self.prune) for beam in particles]
            places = resampled(rewards, seed_of(seed, "resample", time))
            particles = await _moved(grower, particles, places)
            ended |= {beam.seed: beam for beam in particles if beam.is_finished}
            time += 1
        if len(particles) < self.n:  # cut off: what has ended and was not drawn is better than nothing
            drawn = {beam.seed for beam in particles}
            particles += [beam for beam in ended.values() if beam.seed not in drawn]
        return particles[: self.n]


async def _moved(grower: Grower, particles: Sequence[Beam], places: Sequence[int]) -> list[Beam]:
    """The particles at these places one step later, in their order; equal texts are sent as one request."""
    drawn = [particles[place] for place in places]
    counts = Counter(beam.text for beam in drawn if not beam.is_finished)
    first = {beam.text: beam for beam in reversed(drawn) if not beam.is_finished}
    grower.tell([beam for beam in particles if not beam.is_finished], list(first.values()))
    moves: dict[str, list[asyncio.Future[Beam | None]]] = {}
    stopped: list[Beam] = []
    for beam in drawn:
        if beam.is_finished:
            stopped.append(beam)
        elif beam.text not in moves:
            moves[beam.text] = grower.expand(first[beam.text], counts[beam.text])
    written = await _written([child for children in moves.values() for child in children])
    return stopped + written


async def _written(children: Sequence[asyncio.Future[Beam | None]]) -> list[Beam]:
    """Those that the budget and the time have let be written and scored."""
    return [beam for beam in await asyncio.gather(*children) if beam is not None]
