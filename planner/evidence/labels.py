"""What a choice is worth on a problem, and what it costs: labels from pools and runs.

Values without a probe average over random subsets of the pool; values given a probe average over
continuations drawn without replacement from the rest of the pool, joined with the probe, so that the
features have not seen what follows. A tree search's candidates join the probe's in the final vote.
Other policies' plans do not take the probe's samples: their values do not depend on it. Where a probe begins
with the greedy answer, that is the first draw of its pool (``TrainingData.greedy_first``).

Voting follows ``search.voting.votes``: an unreadable answer has no vote; ties go to the higher reward, then
to the earlier draw. Where no sample can be read the first one is the answer, right if its record said so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.evidence.ordered import OrderedValues, ordered_values
from planner.evidence.pools import PolicyPool
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from search.choice import Choice
from search.log.numbering import credit
from search.voting.votes import Ballots, winners

__all__ = [
    "Draws",
    "costs_of",
    "draw_probes",
    "paid_for",
    "runs_of",
    "values_of",
    "values_of_all",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: rows x samples worked on at once: bounds the memory
CHUNK = 500_000

#: random orders in which an adaptive vote or a cascade is replayed, per problem and probe: at most and at
#: least; in between as many as make so many replays
_RUNS, _FEWEST_RUNS, _ENOUGH_RUNS = 16, 2, 131_072


@dataclass(frozen=True, slots=True)
class Draws:
    """Random orders of a pool's draws, (P, probes, resamples, D): the first ``held`` draws are the
    probe, equal over resamples; what follows is a fresh shuffle of the rest in each."""

    order: NDArray[np.int16]
    held: int

    @property
    def probes(self) -> int:
        """Probes per problem."""
        return int(self.order.shape[1])

    @property
    def length(self) -> int:
        """Draws of each order."""
        return int(self.order.shape[3])

    def probe(self, k: int) -> Ints:
        """(P, probes, k) the first k draws of each probe."""
        return self.order[:, :, 0, :k].astype(np.int64)

    def probes_alone(self) -> Draws:
        """The same without what follows the probes."""
        return Draws(self.order[:, :, :1, : self.held].copy(), self.held)


def draw_probes(
    problems: int,
    draws: int,
    *,
    held: int,
    probes: int,
    resamples: int,
    seed: int,
    longest: int,
    greedy: bool = False,
) -> Draws:
    """Random probes and continuations. ``longest`` draws of each order are kept (at most D). ``greedy``: the
    pool's first draw is the first of each order."""
    # apart from each other, so that looks of different size share their first draws
    rng, later = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1, held])
    keep = min(draws, max(longest, held, 1))
    out = np.empty((problems, probes, resamples, keep), np.int16)
    step = max(1, CHUNK // (probes * resamples * max(draws, 1)))
    for begin in range(0, problems, step):
        part = out[begin : begin + step]
        mixed = rng.random((len(part), probes, draws))
        if greedy:
            mixed[:, :, 0] = -1.0
        first = mixed.argsort(axis=2)
        places = later.random((len(part), probes, resamples, draws - held)).argsort(axis=3)
        part[..., :held] = first[:, :, None, :held]
        rest = first[:, :, None, held:].astype(np.int16)
        part[..., held:] = np.take_along_axis(rest, places[..., : keep - held], axis=3)
    return Draws(out, held)


def values_of(data: TrainingData, choice: Choice, probe: Probe, draws: Draws) -> Floats:
    """(P, probes) expected correctness of the final answer of ``choice``, given each probe.

    ``draws`` are orders of the pool of the choice's policy; where the probe does not join they only
    serve as random subsets.

    Raises ValueError if the orders hold fewer draws than the choice takes.
    """
    return values_of_all(data, [choice], probe, draws)[choice]


def values_of_all(
    data: TrainingData, choices: Sequence[Choice], probe: Probe, draws: Draws
) -> dict[Choice, Floats]:
    """``values_of`` many choices of one policy: what they draw is looked up and counted once for all."""
    out: dict[Choice, Floats] = {}
    voted: dict[int, list[Choice]] = {}
    for choice in choices:
        pool = data.pools[choice.policy]
        if choice.plan.is_greedy:
            assert pool.greedy_code is not None
            right = data.graded(pool.greedy_code)[:, None].astype(np.float64)
            out[choice] = np.repeat(right, draws.probes, axis=1)
        elif choice.plan.must_run:
            out[choice] = _tree_values(data, choice, probe, draws, pool)
        elif choice.plan.is_ordered:
            out[choice] = _ordered(data, choice, probe, draws).right
        else:
            if choice.plan.n > draws.length:
                raise ValueError(f"{choice.plan} takes {choice.plan.n} draws, got orders of {draws.length}")
            voted.setdefault(choice.plan.n, []).append(choice)
    for n, together in voted.items():
        out |= dict(zip(together, _pool_values(data, together, n, draws), strict=True))
    return out


def _pool_values(data: TrainingData, choices: Sequence[Choice], n: int, draws: Draws) -> list[Floats]:
    """Values of plans that take ``n`` draws of one pool."""
    pool = data.pools[choices[0].policy]
    out = [np.empty(draws.order.shape[:2]) for _ in choices]
    # a vote over exactly the probe is the same in every resample
    order = draws.order[:, :, :1, :n] if n <= draws.held else draws.order[:, :, :, :n]
    each = order.shape[1] * order.shape[2]
    right = data.right
    step = max(1, CHUNK // (each * max(n, right.shape[1])))
    for begin in range(0, len(order), step):
        part = order[begin : begin + step]
        problems = np.arange(begin, begin + len(part))
        taken = (part + (problems * pool.draws).reshape(-1, 1, 1, 1)).reshape(-1, n)
        ballots = Ballots(pool.codes.ravel()[taken])
        at = np.repeat(problems, each)
        for values, choice in zip(out, choices, strict=True):
            scores = None
            if choice.prm is not None:
                scores = pool.prms[choice.prm].score(str(choice.plan.score))[begin : begin + step]
                scores = scores.ravel()[taken - begin * pool.draws]
            won = ballots.winners(scores, choice.plan.vote)
            correct = np.where(won >= 0, right[at, np.maximum(won, 0)], credit(won))
            values[begin : begin + step] = correct.reshape(part.shape[:3]).mean(axis=2)
    return out


def runs_of(rows: int) -> int:
    """Orders in which a plan is replayed on each of so many rows: fewer where many rows make up for it.

    >>> [runs_of(rows) for rows in (100, 8192, 31_250, 1_000_000)]
    [16, 16, 4, 2]
    """
    return max(_FEWEST_RUNS, min(_RUNS, _ENOUGH_RUNS // max(rows, 1)))


def _ordered(data: TrainingData, choice: Choice, probe: Probe, draws: Draws) -> OrderedValues:
    """What an adaptive vote or a cascade is worth and costs after a probe.

    One replay tells both. Values are asked for first and costs next, so the data keeps it for the second.
    """
    shown = draws.probe(probe.samples) if probe.joins(choice) else None
    paid = bool(probe.samples) and probe.policy == choice.policy
    told = None if shown is None else hashlib.blake2b(np.ascontiguousarray(shown).tobytes()).digest()
    key = ("ordered values", choice, paid, draws.probes, told)
    known: OrderedValues | None = data.memo.pop(key, None)
    if known is None:
        known = data.memo[key] = ordered_values(
            data,
            choice,
            probe=shown,
            paid=paid,
            probes=draws.probes,
            runs=runs_of(len(data) * draws.probes),
        )
    return known


def _tree_values(data: TrainingData, choice: Choice, probe: Probe, draws: Draws, pool: PolicyPool) -> Floats:
    runs = data.trees[choice]
    if not probe.joins(choice) or choice.prm not in pool.prms:
        # an unscored probe cannot join the vote: the tree answers alone. So does what a model picks among
        # answers: its runs, all of whose samples are its own, stand for those that begin with a probe
        alone = data.graded(runs.code).mean(axis=1)
        return np.repeat(alone[:, None], draws.probes, axis=1)
    problems, count, _ = runs.codes.shape
    at = np.arange(problems)[:, None, None]
    shown = draws.probe(probe.samples)
    shape = (problems, draws.probes, count)
    prior = np.broadcast_to(pool.codes[at, shown][:, :, None], (*shape, probe.samples))
    scores = pool.prms[str(choice.prm)].score(str(choice.plan.score))[at, shown]
    prior_scores = np.broadcast_to(scores[:, :, None], (*shape, probe.samples))
    width = runs.codes.shape[2]
    codes = np.concatenate([prior, np.broadcast_to(runs.codes[:, None], (*shape, width))], axis=3)
    both = np.concatenate([prior_scores, np.broadcast_to(runs.scores[:, None], (*shape, width))], axis=3)
    size = probe.samples + width
    won = winners(codes.reshape(-1, size), both.reshape(-1, size), str(choice.plan.vote)).reshape(shape)
    return np.asarray(data.graded(won).mean(axis=2))


def paid_for(data: TrainingData, probe: Probe, draws: Draws) -> tuple[Floats, Floats]:
    """(tokens, FLOPs), each (P, probes), that ``probe`` has cost, logically."""
    if not probe.samples:
        zero = np.zeros(draws.order.shape[:2])
        return zero, zero
    pool = data.pools[probe.policy]
    at = np.arange(len(data))[:, None, None]
    shown = draws.probe(probe.samples)
    policy = pool.prompt[:, None] + pool.tokens[at, shown].sum(axis=2)
    flops = policy * data.policies[probe.policy].flops(1.0)
    if probe.prm is None:
        return policy, flops
    scored = pool.prms[probe.prm]
    prm = scored.prompt[:, None] + scored.tokens[at, shown].sum(axis=2)
    return policy + prm, flops + prm * data.prms[probe.prm].flops(1.0)


def costs_of(data: TrainingData, choice: Choice, probe: Probe, draws: Draws) -> tuple[Floats, Floats]:
    """(tokens, FLOPs), each (P, probes), that ``choice`` costs beyond what ``probe`` has paid.

    Of a greedy probe whose samples join, ``data`` has the greedy answer first (``greedy_first``).
    """
    pool = data.pools[choice.policy]
    joins, same = probe.joins(choice), bool(probe.samples) and choice.policy == probe.policy
    prompt = 0.0 if same else pool.prompt[:, None]
    drawn = probe.samples if joins else 0
    shape = draws.order.shape[:2]
    at = np.arange(len(data))[:, None, None]
    shown = draws.probe(drawn) if drawn else None
    rest = pool.draws - drawn
    prm: Floats | float = 0.0
    if choice.plan.is_ordered:
        found = _ordered(data, choice, probe, draws)
        return found.tokens, found.flops
    if choice.plan.must_run:
        runs = data.trees[choice]
        policy = runs.policy_tokens.mean(axis=1)[:, None] - (pool.prompt[:, None] if same else 0.0)
        spared = choice.plan.described.fresh(0) - choice.plan.described.fresh(drawn)
        if spared:  # the probe's samples take the place of as many
            policy = np.maximum(policy - spared * pool.tokens.mean(axis=1)[:, None], 0.0)
        prm = runs.prm_tokens.mean(axis=1)[:, None]
        if shown is not None and choice.prm in pool.prms:
            scored = pool.prms[str(choice.prm)]
            # scoring the probe for the final vote; its PRM prompt is in the run's own tokens already
            prm = (
                prm - scored.prompt[:, None]
                if probe.prm == choice.prm
                else prm + scored.tokens[at, shown].sum(axis=2)
            )
    elif probe.holds(choice):
        policy = np.zeros((len(data), 1))
    elif choice.plan.is_greedy:
        assert pool.greedy_tokens is not None
        policy = prompt + pool.greedy_tokens[:, None]
    else:
        fresh = choice.plan.n - drawn
        seen = 0.0 if shown is None else pool.tokens[at, shown].sum(axis=2)
        policy = prompt + fresh * (pool.tokens.sum(axis=1)[:, None] - seen) / max(rest, 1)
        if choice.prm is not None:
            scored = pool.prms[choice.prm]
            of_probe = 0.0 if shown is None else scored.tokens[at, shown].sum(axis=2)
            prm = fresh * (scored.tokens.sum(axis=1)[:, None] - of_probe) / max(rest, 1)
            if probe.prm != choice.prm or shown is None:
                prm = prm + scored.prompt[:, None] + of_probe
    policy, prm = np.broadcast_to(policy, shape), np.broadcast_to(prm, shape)
    flops = policy * data.policies[choice.policy].flops(1.0)
    if choice.prm is not None:
        flops = flops + prm * data.prms[choice.prm].flops(1.0)
    return policy + prm, flops
