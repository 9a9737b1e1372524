"""When to end drawing: the vote cannot change any more, or hardly, and what is missing costs more.

    >>> is_settled("majority", [9.0, 2.0], missing=6)
    True
    >>> round(chance_of_change(9.0, 2.0, missing=12), 4)
    0.0017

The chance that the runner-up overtakes the leader takes all missing draws to go to one of these two: that of
the runner-up has a Beta(runner-up + 1, leader + 1) distribution (Adaptive-Consistency, Aggarwal et al.,
arXiv 2305.11860, equation 3), so its draws are beta-binomial. A vote that changes moves the accuracy by no
more than that chance, which bounds what continuing is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, lgamma

from planner.solving.events import EndReason

__all__ = ["EarlyStopping", "chance_of_change", "is_settled"]


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """When drawing ends.

    ``price``: accuracy (1.0 is 100 points) that a FLOP must add; 0: when settled. ``heaviest``: the most that
    a draw can add to an answer's votes.
    """

    price: float = 0.0
    heaviest: float = 1.0

    def ends(self, vote: str, weights: Sequence[float], missing: int, flops: float) -> EndReason | None:
        """Why drawing ends now; None to go on.

        Parameters
        ----------
        vote:
            One of ``search.voting.votes.VOTES``.
        weights:
            What each answer has: candidates for ``majority``, sums of weights for ``weighted``.
        missing, flops:
            Draws that are waited for, and about what each of them costs.
        """
        if missing < 1 or not weights:
            return None
        if is_settled(vote, weights, missing, self.heaviest):
            return EndReason.SETTLED
        if self.price > 0.0 and vote != "max":
            first, second = _leaders(weights)
            if chance_of_change(first, second, missing) < self.price * missing * flops:
                return EndReason.PRICE
        return None


def is_settled(vote: str, weights: Sequence[float], missing: int, heaviest: float = 1.0) -> bool:
    """Whether no outcome of the missing draws can change which answer wins.

    A draw adds at most ``heaviest`` to one answer. The best of n is never settled: any draw may be better.
    """
    if vote == "max" or not weights:
        return False
    first, second = _leaders(weights)
    return first - second > missing * heaviest


def chance_of_change(first: float, second: float, missing: int) -> float:
    """The chance that the runner-up draws level with the leader within so many draws."""
    need = ceil((missing + first - second) / 2)
    if need > missing:
        return 0.0
    a, b = second + 1.0, first + 1.0
    chosen = range(max(need, 0), missing + 1)
    return min(1.0, sum(exp(_log_beta_binomial(k=k, n=missing, a=a, b=b)) for k in chosen))


def _leaders(weights: Sequence[float]) -> tuple[float, float]:
    ranked = sorted(weights, reverse=True)
    return ranked[0], ranked[1] if len(ranked) > 1 else 0.0


def _log_beta_binomial(*, k: int, n: int, a: float, b: float) -> float:
    return (
        lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        + _log_beta(k + a, n - k + b) - _log_beta(a, b)
    )  # fmt: skip


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
