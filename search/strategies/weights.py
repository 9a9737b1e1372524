"""Weights of votes: how much a sample counts, from how sure the policy was of it and from its reward.

    >>> likelihood = Weights("likelihood", signal="mean", scale=10.0, level=-2.0)
    >>> float(likelihood.of({"mean": -0.2}, None)), float(likelihood.of({}, None))
    (1.0, 1.0)

A weight is exp(scale x signal - level), times the PRM's score where the PRM is asked. ``level`` is the
logarithm of its mean over the samples of a search log, so that weights have mean 1 and weighted votes can be
counted like votes. A sample whose signal is not known has weight 1.

Signals: the mean and the lowest logprob of a token, the lowest mean over a window (``search.logprobs``), the
confidence of DeepConf (Fu et al., arXiv 2508.15260: the negative mean of the top logprobs of a token), as a
mean and as its lowest window, and ``length``, the negative number of tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from search.result import Candidate

__all__ = ["KINDS", "LOGGED", "SIGNALS", "Weights", "signals_of"]

#: how samples are weighed
KINDS = ("none", "likelihood", "prm", "prm_likelihood")
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
    """

    kind: str
    signal: str = "mean"
    scale: float = 0.0
    level: float = 0.0

    @property
    def asks_signal(self) -> bool:
        """Whether the signal counts."""
        return self.kind in ("likelihood", "prm_likelihood")

    @property
    def asks_prm(self) -> bool:
        """Whether the PRM's score counts."""
        return self.kind in ("prm", "prm_likelihood")

    def of(self, signals: Mapping[str, Any], scores: Any) -> npt.NDArray[np.float64]:
        """Weights, at least 0, in the shape of the signals and scores.

        ``signals``: by name; NaN, or no entry, where nothing is known. ``scores``: in [0, 1]; None: not
        scored.
        """
        known = signals.get(self.signal) if self.asks_signal else None
        exponent = np.zeros(()) if known is None else self.scale * np.asarray(known, np.float64)
        unknown = np.isnan(exponent)
        if self.asks_signal and known is None:
            unknown = np.ones((), np.bool_)
        weight = np.exp(np.clip(np.where(unknown, 0.0, exponent - self.level), -_FARTHEST, _FARTHEST))
        if self.asks_prm and scores is not None:
            weight = weight * np.asarray(scores, np.float64)
        return np.asarray(weight)


def signals_of(candidate: Candidate) -> dict[str, float]:
    """What is known of one solution, by signal."""
    found = {}
    for name, attribute in SIGNALS.items():
        value = getattr(candidate, attribute)
        if value is not None and math.isfinite(value):
            found[name] = -float(value) if name == "length" else float(value)
    return found
