"""What a probe tells: how far its samples agree, how long they are, how sure the policy was, and,
once a PRM scored them, what it thinks of each step.

All functions take arrays over many probes at once, (probes, k), and add up samples (or steps) strictly
one after the other, so that one probe alone gives the same bits as among a million. They know nothing of
choices or budgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.features.thoughts import thoughts_of
from search.engines.protocol import FinishReason
from search.result import Candidate

__all__ = [
    "AGREEMENT",
    "REWARDS",
    "SUMMARY",
    "ProbeSamples",
    "agreement",
    "rewards",
    "summarise",
    "summarise_padded",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: numbers worked on at once: bounds the memory
_CHUNK = 200_000

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
class ProbeSamples:
    """Samples of many probes, arrays (probes, k).

    ``codes``: equal answers share a whole number >= 0, -1 is unreadable. ``summary``: (probes, k,
    len(SUMMARY)) once a PRM scored them, else None. Logprobs are 0 where unknown. ``thought``,
    ``thought_cut``: as ``planner.features.thoughts`` takes them, None where nobody asked.
    """

    codes: Ints
    tokens: Floats
    steps: Floats
    mean_logprob: Floats
    min_logprob: Floats
    truncated: Floats
    summary: Floats | None = None
    thought: Floats | None = None
    thought_cut: Floats | None = None

    @property
    def k(self) -> int:
        """Samples per probe."""
        return int(self.codes.shape[1])

    @classmethod
    def of(
        cls, candidates: Sequence[Candidate], *, groups: Sequence[int] | None = None, scored: bool = False
    ) -> ProbeSamples:
        """One probe (probes = 1) from live candidates, with ``summary`` if a PRM has ``scored`` them.

        ``groups`` as ``search.voting.votes.group`` makes them by the domain's equality; None: equal texts are
        equal answers. Numbers go through float32 like those that a log holds.
        """
        seen: dict[str, int] = {}
        codes = [-1 if c.answer is None else seen.setdefault(c.answer, len(seen)) for c in candidates]
        if groups is not None:
            codes = list(groups)

        thought, cut = thoughts_of(candidates)

        def row(values: Sequence[float]) -> Floats:
            return np.array([values], np.float32).astype(np.float64)

        return cls(
            codes=np.array([codes], np.int64),
            tokens=row([c.tokens for c in candidates]),
            steps=row([len(c.step_tokens) for c in candidates]),
            mean_logprob=row([c.mean_logprob or 0.0 for c in candidates]),
            min_logprob=row([c.min_logprob or 0.0 for c in candidates]),
            truncated=row([float(c.finish_reason in FinishReason.TRUNCATED) for c in candidates]),
            summary=summarise([c.step_rewards for c in candidates])[None] if scored else None,
            thought=thought,
            thought_cut=cut,
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
    out = np.empty((len(lengths), len(SUMMARY)))
    step = max(1, _CHUNK // padded.shape[1])
    for begin in range(0, len(lengths), step):
        out[begin : begin + step] = _summaries(padded[begin : begin + step], lengths[begin : begin + step])
    return out


def _summaries(padded: NDArray[np.float32], lengths: Ints) -> Floats:
    inside = np.arange(padded.shape[1]) < lengths[:, None]
    value = padded.astype(np.float64)
    value[~(inside & np.isfinite(value))] = 0.0
    count = np.maximum(lengths, 1).astype(np.float64)
    span = np.maximum(count - 1.0, 1.0)
    some = lengths > 0
    low = np.where(inside, value, np.inf)
    lowest_at = low.argmin(axis=1) / span
    total = _total(value)
    weighted = _total(value * (np.arange(padded.shape[1]) / span[:, None]))
    last = value[np.arange(len(lengths)), np.maximum(lengths - 1, 0)]
    fall = np.where(inside[:, 1:], value[:, :-1] - value[:, 1:], 0.0)
    # positions are i / span: their mean is 1/2 and their squared deviations sum to this
    deviations = np.where(lengths > 1, count * (count + 1.0) / (12.0 * span), 1.0)
    columns = [
        np.where(some, low.min(axis=1), 0.0),
        last,
        total / count,
        np.where(some, np.multiply.accumulate(np.where(inside, value, 1.0), axis=1)[:, -1], 0.0),
        value[:, 0],
        np.where(lengths > 1, (weighted - 0.5 * total) / deviations, 0.0),
        lowest_at,
        fall.max(axis=1, initial=0.0),
    ]
    return np.stack(columns, axis=-1)


def agreement(probe: ProbeSamples) -> Floats:
    """(probes, len(AGREEMENT)): what k samples tell without any PRM."""
    k = probe.k
    readable = probe.codes >= 0
    counts = _counts(probe.codes)
    top = counts.max(axis=1)
    voted = _vote(probe.codes, counts)
    is_vote = probe.codes == voted[:, None]
    some = np.maximum(counts, 1.0)
    second = np.where(readable & ~is_vote, counts, 0.0).max(axis=1)
    measured = np.stack([probe.tokens, probe.steps, probe.mean_logprob])
    means = _total(measured) / k
    spreads = np.sqrt(_total((measured - means[:, :, None]) ** 2) / k)
    shares = np.stack(
        [
            np.where(readable, 1.0 / some, 0.0),
            np.where(readable, -(np.log(some / k) / k), 0.0),
            readable.astype(np.float64),
            probe.truncated,
            np.where(is_vote, probe.mean_logprob, 0.0),
        ]
    )
    distinct, entropy, read, truncated, of_vote = _total(shares)
    columns = [
        top / k,
        second / k,
        (top == k).astype(np.float64),
        distinct / k,
        entropy,
        1.0 - read / k,
        truncated / k,
        np.log1p(means[0]),
        spreads[0] / np.maximum(means[0], 1.0),
        probe.tokens.min(axis=1) / np.maximum(probe.tokens.max(axis=1), 1.0),
        means[1],
        spreads[1],
        means[2],
        probe.mean_logprob.min(axis=1),
        spreads[2],
        probe.min_logprob.min(axis=1),
        of_vote / np.maximum(is_vote.sum(axis=1), 1.0),
    ]
    return np.stack(columns, axis=-1)


def rewards(probe: ProbeSamples) -> Floats:
    """(probes, len(REWARDS)): what a PRM says of the probe. ``probe.summary`` must not be None."""
    if probe.summary is None:
        raise ValueError("reward features need a probe that a PRM scored, got one without rewards")
    k, summary, codes = probe.k, probe.summary, probe.codes
    last = summary[:, :, SUMMARY.index("last")]
    voted = _vote(codes, _counts(codes))
    is_vote = (codes == voted[:, None]) & (codes >= 0)
    readable = np.where(codes >= 0, last, -1.0)
    rows, first = np.arange(len(codes)), readable.argmax(axis=1)
    best = readable[rows, first]
    chosen = np.where(best > -1.0, codes[rows, first], -1)
    of_vote = np.where(is_vote, last, 0.0)
    means = _total(np.moveaxis(summary, 1, 2)) / k
    # what is multiplied by k again is a mean first: the same bits as ever
    total = _total(np.where(codes >= 0, last, 0.0)) / k * k
    for_vote = _total(of_vote)
    columns = [
        *means.T,
        last.max(axis=1),
        last.min(axis=1),
        np.sqrt(_total((last - means[:, SUMMARY.index("last"), None]) ** 2) / k),
        for_vote / np.maximum(is_vote.sum(axis=1), 1.0),
        np.maximum(best, 0.0) - of_vote.max(axis=1),
        (chosen == voted).astype(np.float64),
        (2.0 * (for_vote / k * k) - total) / np.maximum(total, 1e-6),
    ]
    return np.stack(columns, axis=-1)


def _total(values: Floats) -> Floats:
    """Sums over the last axis, strictly from left to right (``sum`` would add in pairs)."""
    return np.asarray(np.add.accumulate(values, axis=-1)[..., -1] + 0.0)


def _counts(codes: Ints) -> Floats:
    """How many samples of the probe share each sample's answer; 0 for unreadable ones."""
    counts = np.empty(codes.shape)
    step = max(1, _CHUNK // max(1, codes.shape[1] ** 2))
    for begin in range(0, len(codes), step):
        part = codes[begin : begin + step]
        counts[begin : begin + step] = (part[:, :, None] == part[:, None, :]).sum(axis=2)
    return np.where(codes >= 0, counts, 0.0)


def _vote(codes: Ints, counts: Floats) -> Ints:
    """The answer with most votes, ties to the earlier draw; -1 if none is readable."""
    return np.asarray(codes[np.arange(len(codes)), counts.argmax(axis=1)])
