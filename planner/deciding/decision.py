"""The decision rule: predicted values and costs in, one option out. Pure, and the same on line and off.

An option is a choice to commit to, or, as the last column, probing further (``Menu.advance_net``).
It knows nothing of features or models, and works on many menus (rows) at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.cost import Costs
from search.errors import ArtefactError

__all__ = ["Menu", "Rule", "Trust", "decide"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """What decides at each price: what was learned, or a rule.

    A rule goes by means instead of predictions: over all problems, or over those most like the question.

    Parameters
    ----------
    prices:
        (J,) per FLOP, ascending. Between two of them the nearer one counts, in the logarithm.
    learned, near:
        (J,) whether what was learned decides there; where it does not, whether the means over the nearest
        neighbours do.
    """

    prices: Floats
    learned: NDArray[np.bool_]
    near: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shape = self.prices.shape
        if self.prices.ndim != 1 or not len(self.prices) or {self.learned.shape, self.near.shape} != {shape}:
            raise ArtefactError(
                f"trust is told at each price, got {shape}, {self.learned.shape}, {self.near.shape}"
            )
        if not (self.prices > 0.0).all() or (np.diff(self.prices) <= 0).any():
            raise ArtefactError(f"prices must ascend from above 0, got {self.prices}")

    def at(self, price: float) -> int:
        """The place in ``prices`` that counts at a price per FLOP."""
        if price <= self.prices[0]:
            return 0
        return int(np.abs(np.log(self.prices) - math.log(price)).argmin())


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """What there is to decide between.

    ``advantage`` (rows, C) is the accuracy of each choice above a common reference. ``level`` (rows,)
    is the reference's own. ``advance_net`` (rows, J) is the accuracy above the reference, less its
    price, of probing further at each of the ``prices`` (J,) per FLOP; J = 0 where this is the last
    look. ``advance_cost`` (rows, J) is the mean FLOPs that follow; ``probe`` holds the cost of the next
    look alone, (rows, 1). ``allows`` (C,) marks choices that can still follow the probe, ``keeps``
    (C,) those whose n its samples count towards, so that going there by way of the probe costs no more.
    ``average`` (C,) is the mean advantage over all problems that were learned from, and ``near`` (rows, C)
    that over the nearest neighbours (None: they never decide); by them ``trust`` lets a rule decide. None:
    what was learned always decides.
    """

    advantage: Floats
    level: Floats
    costs: Costs
    prices: Floats
    advance_net: Floats
    advance_cost: Floats
    probe: Costs | None = None
    keeps: NDArray[np.bool_] | None = None
    allows: NDArray[np.bool_] | None = None
    average: Floats | None = None
    near: Floats | None = None
    trust: Trust | None = None

    def rule_means(self, rule: Rule) -> Floats | None:
        """The mean advantages (C,) or (rows, C) by which a rule decides under this budget; None: what was
        learned decides."""
        if self.trust is None:
            return None
        place = self.trust.at(rule.price_per_flop)
        if self.trust.learned[place]:
            return None
        return self.near if self.trust.near[place] else self.average

    def by_rule(self, means: Floats) -> Menu:
        """The menu of a rule that goes by these means: nothing is looked at first."""
        shown = np.where(np.isfinite(self.advantage), means, -np.inf)
        return replace(self, advantage=shown, probe=None, average=None, near=None, trust=None)


@dataclass(frozen=True, slots=True)
class Rule:
    """A budget in the terms of the rule.

    ``price`` per FLOP or per token (``unit``), ``tokens_per_flop`` converts between them where a probe
    is priced; caps are what is left of them.
    """

    price: float = 0.0
    unit: str = "flops"
    tokens_per_flop: float = 0.0
    tokens_left: float = math.inf
    flops_left: float = math.inf
    usd_left: float = math.inf

    @property
    def is_uncapped(self) -> bool:
        """Whether no cap is left to keep."""
        return math.isinf(self.tokens_left) and math.isinf(self.flops_left) and math.isinf(self.usd_left)

    def fits(self, costs: Costs) -> NDArray[np.bool_]:
        """(rows, options) whose 90% quantile of cost stays within every cap."""
        within = (costs.tokens_p90 <= self.tokens_left) & (costs.flops_p90 <= self.flops_left)
        return within if costs.usd_p90 is None else within & (costs.usd_p90 <= self.usd_left)

    @property
    def price_per_flop(self) -> float:
        """The price, whatever its unit, per FLOP of the policy that probes."""
        return self.price * (self.tokens_per_flop if self.unit == "tokens" else 1.0)


def decide(menu: Menu, rule: Rule) -> Ints:
    """The option for each row: a column of ``advantage``, or C to probe further, or -1 if none fits.

    Accuracy above the reference less the price of what it costs, the largest wins; ties go to
    probing further (what was seen is never lost), then to the cheaper and then to the earlier choice.
    Options whose 90% quantile of cost exceeds a cap are no options. Where the menu does not trust what was
    learned at this price, means take the place of the predictions.
    """
    means = menu.rule_means(rule)
    if means is not None:
        menu = menu.by_rule(means)
    fits = rule.fits(menu.costs)
    paid = menu.costs.flops if rule.unit == "flops" else menu.costs.tokens
    further = _further(menu, rule)
    net = np.where(fits, menu.advantage - rule.price * paid, -np.inf)
    best = net.max(axis=1)
    # among equals the cheaper
    chosen = np.where(net >= best[:, None], paid, np.inf).argmin(axis=1)
    chosen = np.where(np.isfinite(best), chosen, -1)
    return np.where(np.isfinite(further) & (further >= best), menu.advantage.shape[1], chosen)


def _further(menu: Menu, rule: Rule) -> Floats:
    """(rows,) the net value of probing further; -inf where that is no option."""
    none = np.full(len(menu.advantage), -np.inf)
    if menu.probe is None or menu.keeps is None or menu.allows is None:
        return none
    fits = rule.fits(menu.probe)[:, 0]
    if rule.is_uncapped:
        return np.where(fits, _interpolate(menu.prices, menu.advance_net, rule.price_per_flop), none)
    # Under a cap what looking was worth in training, without one, says little. Whatever stays open
    # afterwards bounds it from below: a vote that keeps the samples costs what it costs now, and a
    # plan that starts anew costs the probe on top.
    in_all = menu.costs + menu.probe.where(~menu.keeps)
    open_still = menu.allows & rule.fits(in_all)
    paid = in_all.flops if rule.unit == "flops" else in_all.tokens
    net = np.where(open_still, menu.advantage - rule.price * paid, -np.inf)
    return np.where(fits, net.max(axis=1), none)


def _interpolate(prices: Floats, net: Floats, price: float) -> Floats:
    """(rows,) ``net`` at ``price``, linear in the price between the grid's."""
    if price <= prices[0]:
        return net[:, 0]
    if price >= prices[-1]:
        # beyond the grid everything is too dear but the cheapest: the slope is what that costs
        slope = (net[:, -1] - net[:, -2]) / (prices[-1] - prices[-2]) if len(prices) > 1 else 0.0
        return np.asarray(net[:, -1] + slope * (price - prices[-1]))
    right = int(np.searchsorted(prices, price))
    share = (price - prices[right - 1]) / (prices[right] - prices[right - 1])
    return np.asarray((1.0 - share) * net[:, right - 1] + share * net[:, right])
