"""What a budget means to one planner: the terms of its decision rule, and the caps that a ledger keeps.

The only place that knows how samples, money, means, prices and accuracies become tokens, FLOPs and a price
per unit. ``search.budget.Budget`` says what is wanted; ``planner.deciding.decision`` decides.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule
from planner.deciding.fitted import Fitted
from planner.deciding.stages import Stage
from planner.evidence.probe import question_features
from planner.predicting.targets import Target, target_of
from search.budget import Budget, Prices
from search.errors import BudgetError
from search.result import Spend

__all__ = ["check_money", "resolve", "rule", "sample_flops", "target", "tokens_for"]

#: no cap that a rule sees is larger
_MOST = 10**18

#: characters of questions whose costs are kept
_LONGEST = 4000


def rule(
    planner: Fitted,
    budget: Budget,
    question: str,
    *,
    spent: Spend | None = None,
    spent_usd: float = 0.0,
    prices: Mapping[str, Prices] | Prices | None = None,
) -> Rule:
    """A budget in the terms of the decision rule, after ``spent`` was paid out of it, ``spent_usd`` in money.

    A cap in money stays one: ``planner.deciding.money`` says what each option costs at its models' own
    prices.

    Raises BudgetError for money without ``prices``, and for a confidence that the planner cannot tell.
    """
    paid = spent or Spend()
    if budget.usd is not None and prices is None:
        raise BudgetError(f"a budget in money needs prices, got usd={budget.usd:g} without")
    tokens, flops = budget.tokens, _flops(planner, budget, question)
    per_flop = float(planner.frontier.tokens.sum() / max(planner.frontier.flops.sum(), 1e-300))
    # a hair of a price, so that nothing is spent on gains too small to be measured
    price = float(planner.frontier.prices[0])
    if budget.price is not None:
        price = budget.price
    elif budget.mean_flops is not None:
        price = planner.frontier.price_of(budget.mean_flops, _draw(question))
    elif budget.mean_tokens is not None:
        price = planner.frontier.price_of(budget.mean_tokens, _draw(question), "tokens")
    elif (aim := target(planner, budget)) is not None:
        price = aim.price(_draw(question))
    return Rule(
        price,
        budget.price_unit,
        # prices per token apply to probes through the tokens that a FLOP stands for
        per_flop,
        math.inf if tokens is None else float(min(tokens, _MOST) - paid.tokens),
        math.inf if flops is None else flops - paid.flops,
        math.inf if budget.usd is None else budget.usd - spent_usd,
    )


def target(planner: Fitted, budget: Budget) -> Target | None:
    """What is promised of a stream of requests under this budget; None where it names no accuracy.

    Caps that bind may keep a stream below that. Raises BudgetError for a confidence that the planner cannot
    tell.
    """
    if budget.accuracy is None:
        return None
    return target_of(planner.frontier, budget.accuracy, budget.confidence)


def resolve(
    planner: Fitted,
    budget: Budget,
    question: str,
    *,
    least_price: float = 0.0,
    waited: float = 0.0,
    shares: int = 1,
) -> Budget:
    """A budget whose caps a ledger can keep: samples as FLOPs, and what is left of the time.

    Parameters
    ----------
    least_price:
        Accuracy that a FLOP must add where the budget names no aim, or a lower price.
    waited:
        Seconds that have passed of the deadline.
    shares:
        Answers that share the budget: each gets an equal part of every cap but time, which all of them have
        at once.
    """
    flops = _flops(planner, budget, question)
    tokens, usd, price = budget.tokens, budget.usd, budget.price
    if shares > 1:
        tokens = None if tokens is None else max(1, tokens // shares)
        flops = None if flops is None else flops / shares
        usd = None if usd is None else usd / shares
    seconds = None if budget.seconds is None else max(0.0, budget.seconds - waited)
    if least_price > 0.0 and budget.price_unit == "flops" and (price is not None or not budget.has_aim):
        price = max(least_price, price or 0.0, float(planner.frontier.prices[0]))
    same = budget.tokens, budget.flops, budget.seconds, budget.usd, budget.samples, budget.price
    if (tokens, flops, seconds, usd, None, price) == same:
        return budget
    return replace(budget, tokens=tokens, flops=flops, seconds=seconds, usd=usd, samples=None, price=price)


def check_money(
    budget: Budget, prices: Mapping[str, Prices] | Prices | None, models: Iterable[str] = ()
) -> None:
    """Raises BudgetError for a budget in money where the price of one of these policies is not known."""
    if budget.usd is None:
        return
    if prices is None:
        raise BudgetError(f"a budget in money needs prices, got usd={budget.usd:g} without")
    if isinstance(prices, Mapping):
        unknown = [name for name in models if name not in prices]
        if unknown:
            raise BudgetError(
                f"a budget in money needs the prices of every policy, got none for {', '.join(unknown)}"
            )


def tokens_for(usd: float, prices: Mapping[str, Prices] | Prices) -> int | None:
    """Tokens that the money surely buys, whichever model takes them; None where all are free."""
    each = prices.values() if isinstance(prices, Mapping) else (prices,)
    dearest = max(
        (max(one.prompt, one.generated, one.prm, one.prm_written or 0.0) for one in each), default=0.0
    )
    return None if dearest == 0.0 else int(min(usd * 1e6 / dearest, _MOST))


def _flops(planner: Fitted, budget: Budget, question: str) -> float | None:
    """The cap in FLOPs, samples counted at the 90% quantile of what one takes."""
    if budget.samples is None:
        return budget.flops
    counted = min(budget.samples, _MOST) * _sample_flops(planner, question)
    return counted if budget.flops is None else min(budget.flops, counted)


def _sample_flops(planner: Fitted, question: str) -> float:
    """The 90% quantile of what one sample of the probing policy costs."""
    return (_kept if len(question) <= _LONGEST else _count)(planner, question)


def _count(planner: Fitted, question: str) -> float:
    stage = planner.stages[0]
    features = question_features(question, planner.encoder)[None]
    return float(sample_flops(stage, stage.menu(features, np.array([float(len(question))])))[0])


def sample_flops(stage: Stage, menu: Menu) -> NDArray[np.float64]:
    """(rows,) the 90% quantile of what a sample of the probing policy costs, from the first stage's menu."""
    first = stage.actions.next_probe
    if menu.probe is not None and first is not None:
        return np.asarray(menu.probe.flops_p90[:, 0] / first.samples)
    greedy = [i for i, choice in enumerate(stage.choices) if choice.plan.is_greedy]
    greedy = greedy or list(range(len(stage.choices)))
    return np.asarray(menu.costs.flops_p90[:, greedy].min(axis=1))


_kept = lru_cache(maxsize=256)(_count)  # asked before a request waits and after it


def _draw(question: str) -> float:
    """A number in [0, 1) that a question always gets."""
    return (
        int.from_bytes(hashlib.blake2b(question.encode("utf-8", "replace"), digest_size=6).digest(), "big")
        / 2**48
    )
