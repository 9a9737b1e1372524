"""The resolved budget of a request: its objective, the caps to decide by, and the caps to enforce."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from planner.objective import HardCap, Objective, Price, TargetAccuracy
from planner.planner import Planner
from planner.server.budget import Allowance
from planner.server.refusal import Refusal
from search.budget import UNLIMITED, Budget, Prices

__all__ = ["ResolvedBudget", "check_time", "tokens_for"]

#: seconds below which no work is begun
_LEAST = 0.005

#: characters of questions whose costs are kept
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class ResolvedBudget:
    """What a request is for.

    Parameters
    ----------
    objective, cap:
        What the planner decides by.
    budget:
        What the ledger keeps: the same caps, the deadline, the money.
    """

    objective: Objective
    cap: HardCap | None
    budget: Budget

    @classmethod
    def of(
        cls,
        allowance: Allowance,
        planner: Planner,
        question: str,
        *,
        price: float = 0.0,
        prices: Prices | None = None,
        waited: float = 0.0,
        shares: int = 1,
    ) -> ResolvedBudget:
        """Resolve an allowance.

        Parameters
        ----------
        price:
            Accuracy that a FLOP must add.
        waited:
            Seconds that have passed of the deadline.
        shares:
            Answers that share the allowance: each gets an equal part of everything but time, which all of
            them have at once.

        Raises Refusal for money without prices.
        """
        tokens, flops = allowance.tokens, allowance.flops
        if allowance.samples is not None:
            flops = min(flops or np.inf, allowance.samples * _sample_flops(planner, question))
        usd = allowance.usd
        if usd is not None and prices is None:
            raise Refusal("a budget in money needs the server's prices, got none", param="budget")
        if shares > 1:
            tokens = None if tokens is None else max(1, tokens // shares)
            flops = None if flops is None else flops / shares
            usd = None if usd is None else usd / shares
        capped = tokens
        if usd is not None and prices is not None:
            affordable = tokens_for(usd, prices)
            if affordable is not None:
                capped = affordable if tokens is None else min(tokens, affordable)
        cap = None if capped is None and flops is None else HardCap(capped, flops)
        objective: Objective
        if allowance.target_accuracy is not None:
            objective = TargetAccuracy(allowance.target_accuracy)
        elif price > 0.0 or cap is None:
            objective = Price(max(price, float(planner.frontier.prices[0])))
        else:
            objective, cap = cap, None
        seconds = None if allowance.seconds is None else max(0.0, allowance.seconds - waited)
        if tokens is None and flops is None and usd is None and seconds is None:
            return cls(objective, cap, UNLIMITED)
        return cls(objective, cap, Budget(tokens, flops, seconds, usd))


def _sample_flops(planner: Planner, question: str) -> float:
    """The 90% quantile of what one sample of the probing policy costs."""
    return (_kept if len(question) <= _LONGEST else _count)(planner, question)


def _count(planner: Planner, question: str) -> float:
    stage = planner.stages[0]
    menu = stage.menu(planner.features(stage, question, None), np.array([float(len(question))]))
    first = stage.actions.next_probe
    if menu.probe is not None and first is not None:
        return float(menu.probe.flops_p90[0, 0]) / first.samples
    greedy = [i for i, choice in enumerate(stage.choices) if choice.plan.is_greedy]
    greedy = greedy or list(range(len(stage.choices)))
    return float(menu.costs.flops_p90[0, greedy].min())


_kept = lru_cache(maxsize=256)(_count)  # asked before a request waits and after it


def check_time(seconds: float | None, passed: float) -> None:
    """Raise Refusal (400) for a deadline, ``passed`` seconds after arrival, that leaves no time for work."""
    if seconds is not None and seconds - passed < _LEAST:
        raise Refusal(
            f"a budget must leave {_LEAST:g} s for the work, got {seconds:.3g} s and {passed:.3g} s passed",
            param="budget",
            code="budget",
        )


def tokens_for(usd: float, prices: Prices) -> int | None:
    """Tokens that the money surely buys; None where all are free."""
    dearest = max(prices.prompt, prices.generated, prices.prm)
    return None if dearest == 0.0 else int(min(usd * 1e6 / dearest, 10**18))
