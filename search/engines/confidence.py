"""How sure a policy was while it wrote: token logprobs reduced to three numbers per sample.

Two measures of one token, from the logprobs of its k likeliest candidates (k = 20 where a server gives so
many), in nats:

- entropy: ``-sum p ln p`` over these candidates, a lower bound of the whole distribution's;
- confidence: the negative mean of these logprobs (DeepConf, Fu et al., arXiv 2508.15260, section 3): the
  surer the policy, the less likely the other candidates and the higher the number.

A sample keeps the means over its tokens, and the lowest mean confidence over a sliding window of 64 tokens
("lowest group confidence" there), or over the whole of a shorter sample. Nothing is kept per token.

    >>> sure, unsure = [-0.01, -6.0, -8.0], [-1.0, -1.1, -1.2]
    >>> reduced = reduce([of_token(sure), of_token(unsure)])
    >>> round(reduced.mean_entropy, 3), round(reduced.mean_confidence, 3)
    (0.561, 2.885)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["TOP", "UNKNOWN", "WINDOW", "Confidence", "merge", "of_token", "reduce"]

#: candidates per token that the measures are defined on
TOP = 20
#: tokens of a sliding window
WINDOW = 64
#: servers write numbers like -9999 for a probability of nothing; no real logprob is as low
_NOTHING = -1000.0


@dataclass(frozen=True, slots=True)
class Confidence:
    """What is kept of one sample; None where the backend gave no candidates."""

    mean_entropy: float | None = None
    mean_confidence: float | None = None
    lowest_confidence: float | None = None


UNKNOWN = Confidence()


def of_token(candidates: Sequence[float], most: int = TOP) -> tuple[float, float] | None:
    """(entropy, confidence) of one token from the logprobs of its likeliest candidates, in any order.

    None where no candidate has a probability.
    """
    kept = sorted((value for value in candidates if value > _NOTHING), reverse=True)[:most]
    if not kept:
        return None
    entropy = -math.fsum(math.exp(value) * value for value in kept)
    return max(0.0, entropy), -math.fsum(kept) / len(kept)


def reduce(tokens: Sequence[tuple[float, float] | None]) -> Confidence:
    """The measures of a sample from (entropy, confidence) of each of its tokens.

    ``UNKNOWN`` for a sample without tokens, and where one of them is not known: a mean over some of the
    tokens would be another measure.
    """
    known = [token for token in tokens if token is not None]
    if not known or len(known) < len(tokens):
        return UNKNOWN
    entropy, confidence = np.array(known, dtype=np.float64).T
    return Confidence(float(entropy.mean()), float(confidence.mean()), _lowest(confidence))


def merge(first: Confidence, first_tokens: int, second: Confidence, second_tokens: int) -> Confidence:
    """The measures of a sample that was written in two pieces of so many tokens.

    Means are exact. Windows across the seam are not seen, so the lowest confidence is that of the pieces.
    """
    if not first_tokens:
        return second
    if not second_tokens:
        return first
    means = []
    for one, two in (
        (first.mean_entropy, second.mean_entropy),
        (first.mean_confidence, second.mean_confidence),
    ):
        if one is None or two is None:
            return UNKNOWN
        means.append((one * first_tokens + two * second_tokens) / (first_tokens + second_tokens))
    lowest = [value for value in (first.lowest_confidence, second.lowest_confidence) if value is not None]
    return Confidence(means[0], means[1], min(lowest) if len(lowest) == 2 else None)


def _lowest(confidence: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    window = min(WINDOW, len(confidence))
    sums = np.concatenate(([0.0], np.cumsum(confidence)))
    return float((sums[window:] - sums[:-window]).min() / window)
