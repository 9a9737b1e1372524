"""What a choice is worth on a problem, and what it costs: labels from pools and runs.

Values without a probe average over random subsets of the pool; values given a probe average over
continuations drawn without replacement from the rest of the pool, joined with the probe, so that the
features have not seen what follows. A tree search's candidates join the probe's in the final vote.
Other policies' plans do not take the probe's samples: their values do not depend on it.

Voting follows ``search.votes``: an unreadable answer has no vote; ties go to the higher reward, then
to the earlier draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.experience import Experience, PolicyPool
from search.choice import Choice

__all__ = ["Draws", "Look", "costs_of", "draw_probes", "paid_for", "values_of", "winners"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: rows x samples worked on at once: bounds the memory
_CHUNK = 4_000_000


@dataclass(frozen=True, slots=True, order=True)
class Look:
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


def draw_probes(
    problems: int, draws: int, *, held: int, probes: int, resamples: int, seed: int, longest: int
) -> Draws:
    """Random probes and continuations. ``longest`` draws of each order are kept (at most D)."""
    # apart from each other, so that looks of different size share their first draws
    rng, later = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1, held])
    keep = min(draws, max(longest, held, 1))
    out = np.empty((problems, probes, resamples, keep), np.int16)
    for at in range(problems):
        first = rng.random((probes, draws)).argsort(axis=1)
        rest = np.broadcast_to(first[:, None, held:], (probes, resamples, draws - held))
        shuffled = np.take_along_axis(rest, later.random(rest.shape).argsort(axis=2), axis=2)
        out[at, :, :, :held] = first[:, None, :held]
        out[at, :, :, held:] = shuffled[:, :, : keep - held]
    return Draws(out, held)


def values_of(experience: Experience, choice: Choice, look: Look, draws: Draws) -> Floats:
    """(P, probes) expected correctness of the final answer of ``choice``, given each probe.

    ``draws`` are orders of the pool of the choice's policy; where the probe does not join they only
    serve as random subsets.

    Raises ValueError if the orders hold fewer draws than the choice takes.
    """
    pool = experience.pools[choice.policy]
    if choice.plan.strategy == "cot":
        assert pool.greedy_code is not None
        return np.repeat(
            experience.graded(pool.greedy_code)[:, None].astype(np.float64), draws.probes, axis=1
        )
    if choice.plan.is_tree:
        return _tree_values(experience, choice, look, draws, pool)
    n = choice.plan.n
    if n > draws.length:
        raise ValueError(f"{choice.plan} takes {n} draws, got orders of {draws.length}")
    out = np.empty(draws.order.shape[:2])
    # a vote over exactly the probe is the same in every resample
    order = draws.order[:, :, :1, :n] if n <= draws.held else draws.order[:, :, :, :n]
    step = max(1, _CHUNK // (order.shape[1] * order.shape[2] * n))
    for begin in range(0, len(out), step):
        part = order[begin : begin + step].astype(np.int64)
        at = np.arange(begin, begin + len(part)).reshape(-1, 1, 1, 1)
        codes = pool.codes[at, part]
        scores = None if choice.prm is None else pool.prms[choice.prm].score(str(choice.plan.score))[at, part]
        rule = {"majority": "majority", "best_of_n": "max", "weighted_vote": "weighted"}[choice.plan.strategy]
        won = winners(codes.reshape(-1, n), None if scores is None else scores.reshape(-1, n), rule)
        won = won.reshape(part.shape[:3])
        right = np.where(won >= 0, experience.right[at[..., 0], np.maximum(won, 0)], False)
        out[begin : begin + step] = right.mean(axis=2)
    return out


def _tree_values(
    experience: Experience, choice: Choice, look: Look, draws: Draws, pool: PolicyPool
) -> Floats:
    runs = experience.trees[choice]
    if not look.joins(choice) or choice.prm not in pool.prms:
        # an unscored probe cannot join the vote: the tree answers alone
        alone = experience.graded(runs.code).mean(axis=1)
        return np.repeat(alone[:, None], draws.probes, axis=1)
    problems, count, _ = runs.codes.shape
    at = np.arange(problems)[:, None, None]
    probe = draws.probe(look.samples)
    shape = (problems, draws.probes, count)
    prior = np.broadcast_to(pool.codes[at, probe][:, :, None], (*shape, look.samples))
    scores = pool.prms[str(choice.prm)].score(str(choice.plan.score))[at, probe]
    prior_scores = np.broadcast_to(scores[:, :, None], (*shape, look.samples))
    width = runs.codes.shape[2]
    codes = np.concatenate([prior, np.broadcast_to(runs.codes[:, None], (*shape, width))], axis=3)
    both = np.concatenate([prior_scores, np.broadcast_to(runs.scores[:, None], (*shape, width))], axis=3)
    size = look.samples + width
    won = winners(codes.reshape(-1, size), both.reshape(-1, size), str(choice.plan.vote)).reshape(shape)
    return np.asarray(experience.graded(won).mean(axis=2))


def winners(codes: Ints, scores: NDArray[np.floating] | None, rule: str) -> Ints:
    """The winning answer of each row of (rows, n) codes in draw order; -1 where none is readable.

    ``rule``: ``majority`` (scores may be None), ``max`` or ``weighted``. Equal to ``search.votes.pick``
    row by row, up to the rounding of weighted sums.
    """
    width = int(codes.max(initial=0)) + 2
    out = np.empty(len(codes), np.int64)
    step = max(1, _CHUNK // max(width, codes.shape[1]))
    for begin in range(0, len(codes), step):
        part = codes[begin : begin + step]
        mine = None if scores is None else scores[begin : begin + step]
        out[begin : begin + step] = _winners(part, mine, rule, width)
    return out


def _winners(codes: Ints, scores: NDArray[np.floating] | None, rule: str, width: int) -> Ints:
    rows = np.arange(len(codes))
    readable = codes >= 0
    slot = np.where(readable, codes, width - 1) + (rows * width)[:, None]
    if rule == "max":
        assert scores is not None
        leads = readable
    else:
        weights = scores.ravel().astype(np.float64) if rule == "weighted" and scores is not None else None
        held = np.where(
            readable, np.bincount(slot.ravel(), weights, minlength=len(codes) * width)[slot], -1.0
        )
        top = held.max(axis=1, keepdims=True)
        leads = readable & (held >= top - 1e-12 * np.abs(top))
    if scores is not None:
        value = np.where(leads, scores, -np.inf)
        leads = leads & (value >= value.max(axis=1, keepdims=True))
    chosen = codes[rows, leads.argmax(axis=1)]
    if rule == "max":  # candidates compete, not answers: the earliest of equals
        return np.where(readable.any(axis=1), chosen, -1)
    # the last tie-break asks for the earliest member of each answer, whoever speaks for it
    tied = np.flatnonzero((leads & (codes != chosen[:, None])).any(axis=1))
    if len(tied):
        n = codes.shape[1]
        first = np.empty((len(tied), width), np.int64)
        inside = np.where(readable[tied], codes[tied], width - 1)
        at = np.arange(len(tied))
        for place in range(n - 1, -1, -1):
            first[at, inside[:, place]] = place
        places = np.where(leads[tied], first[at[:, None], inside], n)
        chosen[tied] = codes[tied, places.argmin(axis=1)]
    return np.where(readable.any(axis=1), chosen, -1)


def paid_for(experience: Experience, look: Look, draws: Draws) -> tuple[Floats, Floats]:
    """(tokens, FLOPs), each (P, probes), that ``look`` has cost, logically."""
    if not look.samples:
        zero = np.zeros(draws.order.shape[:2])
        return zero, zero
    pool = experience.pools[look.policy]
    at = np.arange(len(experience))[:, None, None]
    probe = draws.probe(look.samples)
    policy = pool.prompt[:, None] + pool.tokens[at, probe].sum(axis=2)
    flops = policy * experience.policies[look.policy].flops(1.0)
    if look.prm is None:
        return policy, flops
    scored = pool.prms[look.prm]
    prm = scored.prompt[:, None] + scored.tokens[at, probe].sum(axis=2)
    return policy + prm, flops + prm * experience.prms[look.prm].flops(1.0)


def costs_of(experience: Experience, choice: Choice, look: Look, draws: Draws) -> tuple[Floats, Floats]:
    """(tokens, FLOPs), each (P, probes), that ``choice`` costs beyond what ``look`` has paid."""
    pool = experience.pools[choice.policy]
    joins, same = look.joins(choice), bool(look.samples) and choice.policy == look.policy
    prompt = 0.0 if same else pool.prompt[:, None]
    drawn = look.samples if joins else 0
    shape = draws.order.shape[:2]
    at = np.arange(len(experience))[:, None, None]
    probe = draws.probe(drawn) if drawn else None
    rest = pool.draws - drawn
    prm: Floats | float = 0.0
    if choice.plan.is_tree:
        runs = experience.trees[choice]
        policy = runs.policy_tokens.mean(axis=1)[:, None] - (pool.prompt[:, None] if same else 0.0)
        prm = runs.prm_tokens.mean(axis=1)[:, None]
        if probe is not None and choice.prm in pool.prms:
            scored = pool.prms[str(choice.prm)]
            # scoring the probe for the final vote; its PRM prompt is in the run's own tokens already
            prm = (
                prm - scored.prompt[:, None]
                if look.prm == choice.prm
                else prm + scored.tokens[at, probe].sum(axis=2)
            )
    elif choice.plan.strategy == "cot":
        assert pool.greedy_tokens is not None
        policy = prompt + pool.greedy_tokens[:, None]
    else:
        fresh = choice.plan.n - drawn
        seen = 0.0 if probe is None else pool.tokens[at, probe].sum(axis=2)
        policy = prompt + fresh * (pool.tokens.sum(axis=1)[:, None] - seen) / max(rest, 1)
        if choice.prm is not None:
            scored = pool.prms[choice.prm]
            of_probe = 0.0 if probe is None else scored.tokens[at, probe].sum(axis=2)
            prm = fresh * (scored.tokens.sum(axis=1)[:, None] - of_probe) / max(rest, 1)
            if look.prm != choice.prm or probe is None:
                prm = prm + scored.prompt[:, None] + of_probe
    policy, prm = np.broadcast_to(policy, shape), np.broadcast_to(prm, shape)
    flops = policy * experience.policies[choice.policy].flops(1.0)
    if choice.prm is not None:
        flops = flops + prm * experience.prms[choice.prm].flops(1.0)
    return policy + prm, flops
