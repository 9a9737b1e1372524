"""The split-half oracle: per problem the best choice at each price by one half of its samples, scored on
the other half, and back.

It is static: it picks one choice before anything is drawn. A planner that looks at samples may pass it.
Half a pool holds little more than one vote over the largest n, and one run of a tree search, so the oracle
follows luck; ``steady`` discounts it: a half counts with a weight, picked per price on training problems,
beside the mean of the choice in training. Choices that a half cannot tell apart go to the one that is
better in training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.split_half import SplitHalf
from planner.evaluation.frontier import Track

__all__ = ["WEIGHTS", "oracle"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: weights of a problem's own half that training picks from; the plain oracle's last, a hair below 1, breaks
#: ties and no more
WEIGHTS = (0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0 - 1e-6)


def oracle(context: BaselineContext, *, steady: bool) -> Track:
    """Pick on one half, score on the other; costs are those of the choice, as for anyone."""
    test, training = context.fixed
    tested, trained = context.halved
    weights = WEIGHTS if steady else WEIGHTS[-1:]
    out = np.zeros((3, len(test), len(context.prices)))
    for part in context.selection:
        means = training.values[part.pick].mean(axis=0)
        flops = training.flops[part.pick]
        seen = [SplitHalf(half.values[part.pick], half.pass_rate[part.pick]) for half in trained]
        asked = [SplitHalf(half.values[part.score], half.pass_rate[part.score]) for half in tested]
        rows = np.arange(len(part.score))[:, None]
        for known, scored in ((0, 1), (1, 0)):
            utility = np.stack(
                [
                    _utility(
                        known=seen[known],
                        scored=seen[scored],
                        means=means,
                        flops=flops,
                        prices=context.prices,
                        weight=weight,
                    )
                    for weight in weights
                ]
            )
            best = np.asarray(weights)[utility.argmax(axis=0)]
            picks = _picks(
                half=asked[known],
                means=means,
                flops=test.flops[part.score],
                prices=context.prices,
                weights=best,
            )
            for target, values in zip(
                out, (asked[scored].values, test.tokens[part.score], test.flops[part.score]), strict=True
            ):
                target[part.score] += values[rows, picks] / 2.0
    return Track("oracle_steady" if steady else "oracle", *out)


def _picks(*, half: SplitHalf, means: Floats, flops: Floats, prices: Floats, weights: Floats) -> Ints:
    """(P, J) choices, with the weight (J,) of each price."""
    picks = np.empty((len(flops), len(prices)), np.int64)
    for j, (price, weight) in enumerate(zip(prices, weights, strict=True)):
        picks[:, j] = (weight * half.values + (1.0 - weight) * means - price * flops).argmax(axis=1)
    return picks


def _utility(
    *, known: SplitHalf, scored: SplitHalf, means: Floats, flops: Floats, prices: Floats, weight: float
) -> Floats:
    """(J,) mean accuracy on the other half less its price."""
    picks = _picks(half=known, means=means, flops=flops, prices=prices, weights=np.full(len(prices), weight))
    rows = np.arange(len(flops))[:, None]
    return np.asarray((scored.values[rows, picks] - prices * flops[rows, picks]).mean(axis=0))
