"""What a stage's decisions met on left-out problems, against what it had expected: corrections by price.

Predictions are right on average over all choices, but the choices that are made are those that look best, and
what an adaptive vote or a further look costs depends on the question. So what is promised of a decision is
corrected by what such decisions met: per price, for a plan to commit to and for a further probe, and per
domain. The corrections change no decision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["Correction", "Promises"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Correction:
    """Of one decision: ``logit`` is added to that of the expected accuracy, costs are multiplied."""

    logit: float = 0.0
    tokens: float = 1.0
    flops: float = 1.0

    def accuracy(self, expected: Floats) -> Floats:
        """Corrected accuracies of the same shape."""
        return _moved(expected, np.array(self.logit))


@dataclass(frozen=True, slots=True, eq=False)
class Promises:
    """Corrections of one stage.

    Parameters
    ----------
    prices:
        (J,) per FLOP, ascending. Between two of them the nearer one counts, in the logarithm.
    domains:
        D names. A row after the last one is for questions of which no domain is known.
    logit, tokens, flops:
        (D + 1, 2, J): by domain, by whether a plan is committed to (0) or a probe follows (1), and by price.
    """

    prices: Floats
    domains: tuple[str, ...]
    logit: Floats
    tokens: Floats
    flops: Floats

    def __post_init__(self) -> None:
        shape = (len(self.domains) + 1, 2, len(self.prices))
        parts = (self.logit, self.tokens, self.flops)
        if not len(self.prices) or {part.shape for part in parts} != {shape}:
            raise ArtefactError(
                f"promises need a number per domain, kind and price, {shape}, got {[p.shape for p in parts]}"
            )
        if not all(np.isfinite(part).all() for part in (self.prices, *parts)):
            raise ArtefactError("the numbers of promises must be finite, got NaN or infinity")
        if (self.tokens <= 0).any() or (self.flops <= 0).any():
            raise ArtefactError("promises multiply costs by numbers above 0, got others")
        if (self.prices <= 0).any() or (np.diff(self.prices) <= 0).any():
            raise ArtefactError(f"prices must ascend from above 0, got {self.prices}")

    def of(self, price: float, *, probes: bool, domain: str | None) -> Correction:
        """The correction of a decision at a price per FLOP."""
        at = (self._row(domain), int(probes), self._place(price))
        return Correction(float(self.logit[at]), float(self.tokens[at]), float(self.flops[at]))

    def accuracy(self, expected: Floats, price: float, domains: Sequence[str]) -> Floats:
        """Corrected accuracies (N,) of plans that were committed to at a price, with the domain of each."""
        rows = np.array([self._row(domain) for domain in domains], np.int64)
        return _moved(expected, self.logit[rows, 0, self._place(price)])

    def _row(self, domain: str | None) -> int:
        return self.domains.index(domain) if domain in self.domains else len(self.domains)

    def _place(self, price: float) -> int:
        if price <= self.prices[0]:
            return 0
        return int(np.abs(np.log(self.prices) - math.log(price)).argmin())


def _moved(expected: Floats, logit: Floats) -> Floats:
    """Accuracies with something added to their logit; 0 and 1 stay what they are."""
    odds = expected * np.exp(logit)
    return np.asarray(odds / (odds + 1.0 - expected))
