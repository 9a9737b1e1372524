"""Weights of votes: how much a sample counts, from how sure the policy was of it and from its reward.

    >>> likelihood = Weights("likelihood", signal="mean", scale=10.0, level=-2.0)
    >>> float(likelihood.of({"mean": -0.2}, None)), float(likelihood.of({}, None))
    (1.0, 1.0)

A weight by likelihood is exp(scale x signal - level), times the PRM's score where the PRM is asked.

A weight by several signals takes them together as log odds L that the sample is right, bias + sum of slope x
(signal - centre), with the logit of the PRM's score among the signals where a PRM is asked. ``log_odds``
weighs a sample by L, and not at all where L is below 0: what is best where samples err independently (Nitzan
and Paroush, International Economic Review 23(2), 1982). ``odds`` weighs it by exp(L), which trusts a sure
sample more: samples of one policy err alike.

    >>> odds = Weights("log_odds", terms=(Term("mean", 5.0, -0.4),), bias=1.0)
    >>> odds.of({"mean": np.array([-0.2, -0.4, -0.8, np.nan])}, None).tolist()
    [2.0, 1.0, 0.0, 1.0]

``level`` is the logarithm of the mean weight over the samples of a search log, so that weights have mean 1
and weighted votes can be counted like votes. A sample of which no signal is known has weight 1.

Signals: the mean and the lowest logprob of a token, the lowest mean over a window
(``search.strategies.running.candidates``), the confidence of DeepConf (Fu et al., arXiv 2508.15260: the
negative mean of the top logprobs of a token), as a mean and as its lowest window, and ``length``, the
negative number of tokens. Self-certainty (Kang et al., arXiv 2502.18581: the divergence of the uniform
distribution from that over the next token) on the top k tokens is that confidence less log k: the same
signal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search.strategies.adaptive.terms import Term

if TYPE_CHECKING:
    from search.result import Candidate

__all__ = ["KINDS", "LEARNED", "LOGGED", "PRM", "SIGNALS", "Weights", "logits", "signals_of"]

#: weights by several signals
LEARNED = ("odds", "log_odds")
#: how samples are weighed
KINDS = ("none", "likelihood", *LEARNED, "prm", "prm_likelihood")
#: the logit of a PRM's score, among the signals of a learned weight
PRM = "prm"
#: signal -> the column of the log's samples, which is also the attribute of a candidate
SIGNALS: Mapping[str, str] = {
    "mean": "mean_logprob",
    "min": "min_logprob",
    "window": "lowest_window_logprob",
    "confidence": "mean_confidence",
    "lowest_confidence": "lowest_confidence",
    "length": "tokens",
}

#: those that the log keeps in columns of their own
LOGGED: Mapping[str, str] = {name: column for name, column in SIGNALS.items() if column != "tokens"}

#: exponents are held within, so that one sample never outweighs thousands
_FARTHEST = 8.0
#: scores are held so far from 0 and 1
_EDGE = 1e-3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """How samples are weighed; see this module.

    Parameters
    ----------
    kind:
        One of ``KINDS``.
    signal:
        One of ``SIGNALS``.
    scale:
        Per unit of the signal, at least 0.
    level:
        The logarithm of the mean weight that is divided by.
    terms, bias:
        Of a learned weight: those of its log odds.
    """

    kind: str
    signal: str = "mean"
    scale: float = 0.0
    level: float = 0.0
    terms: tuple[Term, ...] = ()
    bias: float = 0.0

    @property
    def asks_signal(self) -> bool:
        """Whether the one signal counts."""
        return self.kind in ("likelihood", "prm_likelihood")

    @property
    def asks_prm(self) -> bool:
        """Whether the PRM's score counts."""
        if self.kind in LEARNED:
            return any(term.signal == PRM for term in self.terms)
        return self.kind in ("prm", "prm_likelihood")

    @property
    def signals(self) -> frozenset[str]:
        """The signals that count, the PRM's score left out."""
        if self.kind in LEARNED:
            return frozenset(term.signal for term in self.terms) - {PRM}
        return frozenset({self.signal}) if self.asks_signal else frozenset()

    def of(self, signals: Mapping[str, Any], scores: Any) -> Floats:
        """Weights, at least 0, in the shape of the signals and scores.

        ``signals``: by name; NaN, or no entry, where nothing is known. ``scores``: in [0, 1]; None: not
        scored.
        """
        if self.kind in LEARNED:
            return self._learned(signals, scores)
        known = signals.get(self.signal) if self.asks_signal else None
        exponent = np.zeros(()) if known is None else self.scale * np.asarray(known, np.float64)
        unknown = np.isnan(exponent)
        if self.asks_signal and known is None:
            unknown = np.ones((), np.bool_)
        weight = np.exp(np.clip(np.where(unknown, 0.0, exponent - self.level), -_FARTHEST, _FARTHEST))
        if self.asks_prm and scores is not None:
            weight = weight * np.asarray(scores, np.float64)
        return np.asarray(weight)

    def _learned(self, signals: Mapping[str, Any], scores: Any) -> Floats:
        told: Floats = np.asarray(self.bias)
        is_known: npt.NDArray[np.bool_] = np.zeros((), np.bool_)
        for term in self.terms:
            found = signals.get(term.signal)
            if term.signal == PRM and scores is not None:
                found = logits(scores)
            if found is None:
                continue
            value = np.asarray(found, np.float64)
            there = ~np.isnan(value)
            told = told + np.where(there, term.slope * (value - term.centre), 0.0)
            is_known = is_known | there
        if self.kind == "odds":
            weight = np.exp(np.clip(told - self.level, -_FARTHEST, _FARTHEST))
        else:
            weight = np.maximum(told, 0.0) * math.exp(-self.level)
        return np.where(is_known, weight, 1.0)


def logits(scores: Any) -> Floats:
    """The logit of scores in [0, 1], those at an edge held a thousandth away from it."""
    held = np.clip(np.asarray(scores, np.float64), _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(held) - np.log1p(-held))


def signals_of(candidate: Candidate) -> dict[str, float]:
    """What is known of one solution, by signal."""
    found = {}
    for name, attribute in SIGNALS.items():
        value = getattr(candidate, attribute)
        if value is not None and math.isfinite(value):
            found[name] = -float(value) if name == "length" else float(value)
    return found
