"""Lookup by difficulty bin (Snell et al., arXiv 2408.03314; arXiv 2502.06703): the choice that was best in
training on problems as hard as this one.

Difficulty is Pass@1 of the main policy. Known, it comes from one half of the samples and the lookup is scored
on the other: that cannot be deployed, it shows what knowing would be worth. Predicted, it comes from the
question alone (``difficulty``). Bins are absolute, or quantiles whose number training picks per price.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.selection import Selection, families_apart
from planner.evaluation.frontier import Track

__all__ = ["QUANTILES", "THRESHOLDS", "known_difficulty", "predicted_difficulty"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: absolute difficulty thresholds of the design
THRESHOLDS = (0.1, 0.5)

#: numbers of quantile bins that training picks from; five are Snell et al.'s
QUANTILES = (2, 3, 4, 5, 8)


def known_difficulty(context: BaselineContext, *, quantiles: bool) -> Track:
    """Pass@1 on one half of the samples picks the bin, the other half is scored, and back."""
    test, training = context.fixed
    tested, trained = context.halved
    out = np.zeros((3, len(test), len(context.prices)))
    for known, scored in ((0, 1), (1, 0)):
        picks = np.empty((len(test), len(context.prices)), np.int64)
        for part in context.selection:
            picks[part.score] = _looked_up(
                context=context,
                part=part,
                there=trained[known].pass_rate[part.pick],
                here=tested[known].pass_rate[part.score],
                values=trained[scored].values[part.pick],
                flops=training.flops[part.pick],
                quantiles=quantiles,
            )
        rows = np.arange(len(test))[:, None]
        for target, values in zip(out, (tested[scored].values, test.tokens, test.flops), strict=True):
            target += values[rows, picks] / 2.0
    return Track("bin_quantile" if quantiles else "bin_absolute", *out)


def predicted_difficulty(context: BaselineContext, *, quantiles: bool) -> Track:
    """The same with difficulty as the question tells it: this one can be deployed."""
    test, training = context.fixed
    picks = np.empty((len(test), len(context.prices)), np.int64)
    for part, (there, here) in zip(context.selection, context.difficulty, strict=True):
        picks[part.score] = _looked_up(
            context=context,
            part=part,
            there=there,
            here=here,
            values=training.values[part.pick],
            flops=training.flops[part.pick],
            quantiles=quantiles,
        )
    return test.track("bin_quantile_predicted" if quantiles else "bin_absolute_predicted", picks)


def _looked_up(
    *,
    context: BaselineContext,
    part: Selection,
    there: Floats,
    here: Floats,
    values: Floats,
    flops: Floats,
    quantiles: bool,
) -> Ints:
    """(problems scored, J) picks, from difficulties and outcomes of the problems picked on."""
    prices = context.prices
    if not quantiles:
        # a difficulty of exactly a threshold is of the easier bin
        return _lookup(
            edges=np.asarray(THRESHOLDS),
            side="right",
            there=there,
            here=here,
            values=values,
            flops=flops,
            prices=prices,
        )
    families = [context.training.data.families[i] for i in part.pick]
    utility = np.zeros((len(QUANTILES), len(prices)))
    for inner in families_apart(families, context.seed):
        seen, asked = inner.pick, inner.score
        for place, count in enumerate(QUANTILES):
            picks = _by_quantiles(
                count=count,
                there=there[seen],
                here=there[asked],
                values=values[seen],
                flops=flops[seen],
                prices=prices,
            )
            rows = asked[:, None]
            utility[place] += (values[rows, picks] - prices * flops[rows, picks]).sum(axis=0)
    found = np.stack(
        [
            _by_quantiles(count=count, there=there, here=here, values=values, flops=flops, prices=prices)
            for count in QUANTILES
        ]
    )
    return np.asarray(np.take_along_axis(found, utility.argmax(axis=0)[None, None, :], axis=0)[0])


def _by_quantiles(
    *, count: int, there: Floats, here: Floats, values: Floats, flops: Floats, prices: Floats
) -> Ints:
    edges = np.quantile(there, np.arange(1, count) / count)
    return _lookup(
        edges=edges, side="left", there=there, here=here, values=values, flops=flops, prices=prices
    )


def _lookup(
    *, edges: Floats, side: str, there: Floats, here: Floats, values: Floats, flops: Floats, prices: Floats
) -> Ints:
    """(len(here), J) the best choice of each bin; a bin that training has no problem in takes all of them."""
    place: Callable[[Floats], Ints] = lambda rates: np.searchsorted(edges, rates, side=side)  # type: ignore[call-overload]  # noqa: E731
    seen, asked = place(there), place(here)
    picks = np.empty((len(here), len(prices)), np.int64)
    for cell in np.unique(asked):
        rows = seen == cell
        rows = rows if rows.any() else np.ones(len(seen), bool)
        net = values[rows].mean(axis=0)[:, None] - prices * flops[rows].mean(axis=0)[:, None]
        picks[asked == cell] = net.argmax(axis=0)
    return picks
