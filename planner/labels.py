"""What a choice is worth on a problem, and what it costs: labels from pools and runs.

Values without a probe average over random subsets of the pool; values given a probe average over
continuations drawn without replacement from the rest of the pool, joined with the probe, so that the
features have not seen what follows. A tree search's candidates join the probe's in the final vote.
Other policies' plans do not take the probe's samples: their values do not depend on it.

Voting follows ``search.votes``: an unreadable answer has no vote; ties go to the higher reward, then
to the earlier draw. Where no sample can be read the first one is the answer, right if its record said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.rows import credit
from planner.training_data import PolicyPool, TrainingData
from search.choice import Choice

__all__ = [
    "Ballots",
    "Draws",
    "Probe",
    "costs_of",
    "draw_probes",
    "paid_for",
    "values_of",
    "values_of_all",
    "winners",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: rows x samples worked on at once: bounds the memory
_CHUNK = 500_000

#: the rule by which a plan over a pool picks its answer
_RULES = {"majority": "majority", "best_of_n": "max", "weighted_vote": "weighted"}


@dataclass(frozen=True, slots=True, order=True)
class Probe:
    """What has been seen when a decision is made: ``samples`` of ``policy``, scored by ``prm`` if not None.

    ``samples=0`` sees the question only.
    """

    policy: str
    samples: int
    prm: str | None = None

    def __post_init__(self) -> None:
        if self.samples < 0:
            raise ValueError(f"samples cannot be negative but got {self.samples}")
        if self.prm is not None and not self.samples:
            raise ValueError(f"a PRM scores samples, got {self.prm!r} without any")

    def __str__(self) -> str:
        if not self.samples:
            return "question"
        return f"{self.samples} samples of {self.policy}" + (f" scored by {self.prm}" if self.prm else "")

    def joins(self, choice: Choice) -> bool:
        """Whether the probe's samples stay candidates under ``choice``."""
        return bool(self.samples) and choice.policy == self.policy and choice.plan.strategy != "cot"

    def allows(self, choice: Choice) -> bool:
        """Whether ``choice`` can follow: a vote cannot take fewer samples than were drawn."""
        if not self.samples or choice.policy != self.policy:
            return True
        return choice.plan.strategy != "cot" and (choice.plan.is_tree or choice.plan.n >= self.samples)


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
    problems: int, draws: int, *, held: int, probes: int, resamples: int, seed: int, longest: int
) -> Draws:
    """Random probes and continuations. ``longest`` draws of each order are kept (at most D)."""
    # apart from each other, so that looks of different size share their first draws
    rng, later = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1, held])
    keep = min(draws, max(longest, held, 1))
    out = np.empty((problems, probes, resamples, keep), np.int16)
    step = max(1, _CHUNK // (probes * resamples * draws))
    for begin in range(0, problems, step):
        part = out[begin : begin + step]
        first = rng.random((len(part), probes, draws)).argsort(axis=2)
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
        if choice.plan.strategy == "cot":
            assert pool.greedy_code is not None
            right = data.graded(pool.greedy_code)[:, None].astype(np.float64)
            out[choice] = np.repeat(right, draws.probes, axis=1)
        elif choice.plan.is_tree:
            out[choice] = _tree_values(data, choice, probe, draws, pool)
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
    step = max(1, _CHUNK // (each * max(n, right.shape[1])))
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
            won = ballots.winners(scores, _RULES[choice.plan.strategy])
            correct = np.where(won >= 0, right[at, np.maximum(won, 0)], credit(won))
            values[begin : begin + step] = correct.reshape(part.shape[:3]).mean(axis=2)
    return out


def _tree_values(data: TrainingData, choice: Choice, probe: Probe, draws: Draws, pool: PolicyPool) -> Floats:
    runs = data.trees[choice]
    if not probe.joins(choice) or choice.prm not in pool.prms:
        # an unscored probe cannot join the vote: the tree answers alone
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


def winners(codes: Ints, scores: NDArray[np.floating] | None, rule: str) -> Ints:
    """The winning answer of each row of (rows, n) codes in draw order; the first code where none is readable.

    ``rule``: ``majority`` (scores may be None), ``max`` or ``weighted``. Equal to ``search.votes.pick``
    row by row, up to the rounding of weighted sums.
    """
    out = np.empty(len(codes), np.int64)
    step = max(1, _CHUNK // max(codes.shape[1], int(codes.max(initial=0)) + 2))
    for begin in range(0, len(codes), step):
        mine = None if scores is None else scores[begin : begin + step]
        out[begin : begin + step] = Ballots(codes[begin : begin + step]).winners(mine, rule)
    return out


class Ballots:
    """Rows of codes (rows, n) in draw order, counted once for every rule that is asked of them."""

    def __init__(self, codes: Ints) -> None:
        self._codes = codes
        self._width = int(codes.max(initial=0)) + 2

    @cached_property
    def _slots(self) -> Ints:
        # one column more than there are answers: the first counts what is unreadable
        return (
            np.maximum(self._codes, -1) + (1 + np.arange(len(self._codes)) * self._width)[:, None]
        ).ravel()

    @cached_property
    def _counts(self) -> Ints:
        return np.bincount(self._slots, minlength=len(self._codes) * self._width)

    def winners(self, scores: NDArray[np.floating] | None, rule: str) -> Ints:
        """As ``winners`` of this module has it."""
        codes = self._codes
        if codes.shape[1] == 1:
            return codes[:, 0]
        if rule == "max":
            assert scores is not None
            first = np.where(codes >= 0, scores, -np.inf).argmax(axis=1)
            # where nothing is readable all are -inf, and the first is as unreadable as any
            return np.asarray(codes[np.arange(len(codes)), first])
        votes = self._counts
        if rule == "weighted" and scores is not None:
            votes = np.bincount(self._slots, scores.ravel().astype(np.float64), minlength=len(votes))
        table = votes.reshape(-1, self._width)[:, 1:]
        leader = table.argmax(axis=1)
        top = table[np.arange(len(table)), leader]
        # one answer ahead of all others has won, whatever the tie-breaks are
        sure = (top > 0) & ((table >= (top - 1e-12 * np.abs(top))[:, None]).sum(axis=1) == 1)
        out = np.where(sure, leader, codes[:, 0])
        open_rows = np.flatnonzero(~sure)
        if len(open_rows):
            held = np.take_along_axis(table[open_rows], np.maximum(codes[open_rows], 0), axis=1)
            mine = None if scores is None else scores[open_rows]
            out[open_rows] = _tied(codes[open_rows], held, mine, self._width)
        return out


def _tied(
    codes: Ints, held: NDArray[np.integer] | Floats, scores: NDArray[np.floating] | None, width: int
) -> Ints:
    """``Ballots.winners`` of rows whose vote needs a tie-break; ``held`` (rows, n): votes of each answer."""
    rows = np.arange(len(codes))
    readable = codes >= 0
    held = np.where(readable, held, -1.0)
    top = held.max(axis=1, keepdims=True)
    leads = readable & (held >= top - 1e-12 * np.abs(top))
    if scores is not None:
        value = np.where(leads, scores, -np.inf)
        leads = leads & (value >= value.max(axis=1, keepdims=True))
    chosen = codes[rows, leads.argmax(axis=1)]
    # the last tie-break asks for the earliest member of each answer, whoever speaks for it
    tied = np.flatnonzero((leads & (codes != chosen[:, None])).any(axis=1)) if scores is not None else ()
    if len(tied):
        n = codes.shape[1]
        first = np.empty((len(tied), width), np.int64)
        inside = np.where(readable[tied], codes[tied], width - 1)
        at = np.arange(len(tied))
        for place in range(n - 1, -1, -1):
            first[at, inside[:, place]] = place
        places = np.where(leads[tied], first[at[:, None], inside], n)
        chosen[tied] = codes[tied, places.argmin(axis=1)]
    return np.where(readable.any(axis=1), chosen, codes[:, 0])


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
    """(tokens, FLOPs), each (P, probes), that ``choice`` costs beyond what ``probe`` has paid."""
    pool = data.pools[choice.policy]
    joins, same = probe.joins(choice), bool(probe.samples) and choice.policy == probe.policy
    prompt = 0.0 if same else pool.prompt[:, None]
    drawn = probe.samples if joins else 0
    shape = draws.order.shape[:2]
    at = np.arange(len(data))[:, None, None]
    shown = draws.probe(drawn) if drawn else None
    rest = pool.draws - drawn
    prm: Floats | float = 0.0
    if choice.plan.is_tree:
        runs = data.trees[choice]
        policy = runs.policy_tokens.mean(axis=1)[:, None] - (pool.prompt[:, None] if same else 0.0)
        prm = runs.prm_tokens.mean(axis=1)[:, None]
        if shown is not None and choice.prm in pool.prms:
            scored = pool.prms[str(choice.prm)]
            # scoring the probe for the final vote; its PRM prompt is in the run's own tokens already
            prm = (
                prm - scored.prompt[:, None]
                if probe.prm == choice.prm
                else prm + scored.tokens[at, shown].sum(axis=2)
            )
    elif choice.plan.strategy == "cot":
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
