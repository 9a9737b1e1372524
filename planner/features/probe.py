"""What a probe tells: how far its samples agree, how long they are, how sure the policy was, and,
once a PRM scored them, what it thinks of each step.

All functions take arrays over many probes at once, (probes, k), and go through the k samples (or the
steps) one column after the other, so that one probe alone gives the same bits as among a million.
They know nothing of choices or budgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.result import Candidate

__all__ = [
    "AGREEMENT",
    "REWARDS",
    "SUMMARY",
    "Probe",
    "agreement",
    "rewards",
    "summarise",
    "summarise_padded",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: columns of ``summarise``: the four scores of ``search.scores`` first, in its order
SUMMARY = ("min", "last", "mean", "prod", "first", "slope", "lowest_at", "deepest_drop")

#: names of what ``agreement`` returns
AGREEMENT = (
    "top_share",
    "second_share",
    "unanimous",
    "distinct_share",
    "entropy",
    "unreadable_share",
    "truncated_share",
    "log_mean_tokens",
    "tokens_spread",
    "shortest_over_longest",
    "mean_steps",
    "steps_spread",
    "logprob_mean",
    "logprob_lowest",
    "logprob_spread",
    "logprob_worst_token",
    "logprob_of_vote",
)

#: names of what ``rewards`` returns
REWARDS = (
    *(f"reward_{name}_mean" for name in SUMMARY),
    "reward_best",
    "reward_worst",
    "reward_spread",
    "reward_of_vote",
    "reward_choice_over_vote",
    "reward_choice_is_vote",
    "reward_weighted_margin",
)


@dataclass(frozen=True, slots=True)
class Probe:
    """Samples of many probes, arrays (probes, k).

    ``codes``: equal answers share a whole number >= 0, -1 is unreadable. ``summary``: (probes, k,
    len(SUMMARY)) once a PRM scored them, else None. Logprobs are 0 where unknown.
    """

    codes: Ints
    tokens: Floats
    steps: Floats
    mean_logprob: Floats
    min_logprob: Floats
    truncated: Floats
    summary: Floats | None = None

    @property
    def k(self) -> int:
        """Samples per probe."""
        return int(self.codes.shape[1])

    @classmethod
    def of(
        cls, candidates: Sequence[Candidate], *, groups: Sequence[int] | None = None, scored: bool = False
    ) -> Probe:
        """One probe (probes = 1) from live candidates, with ``summary`` if a PRM has ``scored`` them.

        ``groups`` as ``search.votes.group`` makes them by the domain's equality; None: equal texts are equal
        answers. Numbers go through float32 like those that a log holds.
        """
        seen: dict[str, int] = {}
        codes = [-1 if c.answer is None else seen.setdefault(c.answer, len(seen)) for c in candidates]
        if groups is not None:
            codes = list(groups)

        def row(values: Sequence[float]) -> Floats:
            return np.array([values], np.float32).astype(np.float64)

        return cls(
            np.array([codes], np.int64),
            row([c.tokens for c in candidates]),
            row([len(c.step_tokens) for c in candidates]),
            row([c.mean_logprob or 0.0 for c in candidates]),
            row([c.min_logprob or 0.0 for c in candidates]),
            row([float(c.finish_reason == "length") for c in candidates]),
            summarise([c.step_rewards for c in candidates])[None] if scored else None,
        )


def summarise(step_rewards: Sequence[Sequence[float]]) -> Floats:
    """(solutions, len(SUMMARY)) from ragged step rewards.

    A solution without steps gives zeros, as ``search.scores`` has it, and a reward that is not a
    number counts as 0: nothing speaks for the step. ``slope`` is the least-squares slope over steps
    in [0, 1], ``lowest_at`` where in [0, 1] the lowest reward stands.
    """
    lengths = np.array([len(r) for r in step_rewards], np.int64)
    padded = np.zeros((len(lengths), max(1, int(lengths.max(initial=0)))), np.float32)
    flat = np.array([value for r in step_rewards for value in r], np.float32)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = flat
    return summarise_padded(padded, lengths)


def summarise_padded(padded: NDArray[np.float32], lengths: Ints) -> Floats:
    """``summarise`` of (solutions, most steps) whose rows end after ``lengths`` rewards."""
    low = np.full(len(lengths), np.inf)
    total, weighted, drop = np.zeros((3, len(lengths)))
    product, last, first, where = np.ones(len(lengths)), *np.zeros((3, len(lengths)))
    count = np.maximum(lengths, 1).astype(np.float64)
    span = np.maximum(count - 1.0, 1.0)
    for step in range(padded.shape[1]):
        inside = step < lengths
        value = np.nan_to_num(padded[:, step].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        lower = inside & (value < low)
        low = np.where(lower, value, low)
        where = np.where(lower, step / span, where)
        if step:
            drop = np.where(inside, np.maximum(drop, last - value), drop)
        else:
            first = np.where(inside, value, 0.0)
        last = np.where(inside, value, last)
        total = total + np.where(inside, value, 0.0)
        weighted = weighted + np.where(inside, value * (step / span), 0.0)
        product = np.where(inside, product * value, product)
    some = lengths > 0
    mean = total / count
    # positions are i / span: their mean is 1/2 and their squared deviations sum to this
    deviations = np.where(lengths > 1, count * (count + 1.0) / (12.0 * span), 1.0)
    slope = np.where(lengths > 1, (weighted - 0.5 * total) / deviations, 0.0)
    columns = [np.where(some, low, 0.0), last, mean, np.where(some, product, 0.0), first, slope, where, drop]
    return np.stack(columns, axis=-1)


def agreement(probe: Probe) -> Floats:
    """(probes, len(AGREEMENT)): what k samples tell without any PRM."""
    k = probe.k
    counts = _counts(probe.codes)
    readable = probe.codes >= 0
    top = _largest(counts)
    voted = _vote(probe.codes, counts)
    second, distinct, entropy = np.zeros((3, len(top)))
    for i in range(k):
        second = np.where(
            readable[:, i] & (probe.codes[:, i] != voted), np.maximum(second, counts[:, i]), second
        )
        some = np.maximum(counts[:, i], 1.0)
        distinct = distinct + np.where(readable[:, i], 1.0 / some, 0.0)
        entropy = entropy - np.where(readable[:, i], np.log(some / k) / k, 0.0)
    unreadable = 1.0 - _mean(readable.astype(np.float64))
    tokens = _mean(probe.tokens)
    steps = _mean(probe.steps)
    of_vote = _mean_where(probe.mean_logprob, probe.codes == voted[:, None])
    columns = [
        top / k,
        second / k,
        (top == k).astype(np.float64),
        distinct / k,
        entropy,
        unreadable,
        _mean(probe.truncated),
        np.log1p(tokens),
        _spread(probe.tokens) / np.maximum(tokens, 1.0),
        _smallest(probe.tokens) / np.maximum(_largest(probe.tokens), 1.0),
        steps,
        _spread(probe.steps),
        _mean(probe.mean_logprob),
        _smallest(probe.mean_logprob),
        _spread(probe.mean_logprob),
        _smallest(probe.min_logprob),
        of_vote,
    ]
    return np.stack(columns, axis=-1)


def rewards(probe: Probe) -> Floats:
    """(probes, len(REWARDS)): what a PRM says of the probe. ``probe.summary`` must not be None."""
    if probe.summary is None:
        raise ValueError("reward features need a probe that a PRM scored, got one without rewards")
    summary, codes = probe.summary, probe.codes
    last = summary[:, :, SUMMARY.index("last")]
    counts = _counts(codes)
    voted = _vote(codes, counts)
    is_vote = (codes == voted[:, None]) & (codes >= 0)
    readable = np.where(codes >= 0, last, -1.0)
    best, chosen = np.full(len(codes), -1.0), np.full(len(codes), -1, np.int64)
    for i in range(probe.k):
        better = readable[:, i] > best
        best = np.where(better, readable[:, i], best)
        chosen = np.where(better, codes[:, i], chosen)
    of_vote = _mean_where(last, is_vote)
    best_of_vote = _largest(np.where(is_vote, last, 0.0))
    total = _mean(np.where(codes >= 0, last, 0.0)) * probe.k
    for_vote = _mean(np.where(is_vote, last, 0.0)) * probe.k
    columns = [
        *(_mean(summary[:, :, j]) for j in range(len(SUMMARY))),
        _largest(last),
        _smallest(last),
        _spread(last),
        of_vote,
        np.maximum(best, 0.0) - best_of_vote,
        (chosen == voted).astype(np.float64),
        (2.0 * for_vote - total) / np.maximum(total, 1e-6),
    ]
    return np.stack(columns, axis=-1)


def _counts(codes: Ints) -> Floats:
    """How many samples of the probe share each sample's answer; 0 for unreadable ones."""
    counts = np.zeros(codes.shape)
    for i in range(codes.shape[1]):
        counts = counts + (codes == codes[:, i : i + 1])
    return np.where(codes >= 0, counts, 0.0)


def _vote(codes: Ints, counts: Floats) -> Ints:
    """The answer with most votes, ties to the earlier draw; -1 if none is readable."""
    best, voted = np.zeros(len(codes)), np.full(len(codes), -1, np.int64)
    for i in range(codes.shape[1]):
        better = counts[:, i] > best
        best = np.where(better, counts[:, i], best)
        voted = np.where(better, codes[:, i], voted)
    return voted


def _mean(values: Floats) -> Floats:
    total = np.zeros(len(values))
    for i in range(values.shape[1]):
        total = total + values[:, i]
    return np.asarray(total / values.shape[1])


def _mean_where(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    total, count = np.zeros((2, len(values)))
    for i in range(values.shape[1]):
        total = total + np.where(chosen[:, i], values[:, i], 0.0)
        count = count + chosen[:, i]
    return total / np.maximum(count, 1.0)


def _spread(values: Floats) -> Floats:
    """Standard deviation over the samples."""
    centre = _mean(values)
    deviation: Floats = np.sqrt(_mean((values - centre[:, None]) ** 2))
    return deviation


def _largest(values: Floats) -> Floats:
    out = values[:, 0].astype(np.float64)
    for i in range(1, values.shape[1]):
        out = np.maximum(out, values[:, i])
    return out


def _smallest(values: Floats) -> Floats:
    out = values[:, 0].astype(np.float64)
    for i in range(1, values.shape[1]):
        out = np.minimum(out, values[:, i])
    return out
