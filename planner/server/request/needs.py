"""What a request needs of its key's limits before it is worked on: an answer at least, its budget at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from planner.deciding.budgeting import check_money
from planner.server.access.limits import Amount
from planner.server.direct.passthrough_cost import prompt_tokens
from planner.server.request.request_context import RequestContext
from planner.server.service import Service
from search.budget import Budget, Prices

__all__ = ["planned_needs"]

#: tokens that a way of asking adds to a prompt, at most
_AROUND = 256


def planned_needs(service: Service, context: RequestContext) -> tuple[Amount, Amount]:
    """(least, most) that a planned request takes: an answer of the policy that answers first for each choice,
    and all that its budget holds. Infinite where nothing limits it.

    Raises BudgetError for a key with a limit in money where the price of a policy is not known.
    """
    ask, models, prices = context.ask, service.models, service.rules.prices
    choice, in_money = context.choice, not math.isinf(context.key.usd_per_day)
    if in_money:
        check_money(Budget(usd=context.key.usd_per_day), prices, context.planner.policies)
    policy = context.first if choice is None else choice.policy
    asked = replace(ask, conversation=None) if ask.is_structured else ask
    prompt = prompt_tokens(asked, models, policy)
    drawn = context.planner.drawings.get(policy)
    longest = ask.max_tokens or models.drawing(policy, drawn).limits.max_tokens
    own = _prices(prices, policy)
    money = own.usd(prompt=prompt, generated=longest) if own is not None else 0.0
    least = Amount(ask.n * (prompt + longest), ask.n * money)

    each = context.resolve(service, context.budget)
    tokens = math.inf if each.tokens is None else float(each.tokens)
    flops = min((one for card in models.cards if (one := card.flops(1)) > 0), default=0.0)
    if each.flops is not None and flops:
        tokens = min(tokens, each.flops // flops)
    if choice is not None and choice.plan.is_greedy:
        tokens = min(tokens, prompt + longest + _AROUND)
    usd = math.inf if each.usd is None else each.usd
    if in_money and not math.isinf(tokens):
        # a forced plan may send its prompt again; what a planner chooses keeps within what is held
        again = 0.0
        if choice is not None:
            described = choice.plan.described
            sent, _ = described.takes(float(prompt), float(longest))
            again = max(0.0, described.sends(float(prompt), float(longest)) - sent)
        usd = min(usd, (tokens + again) * _dearest(prices) / 1e6)
    return least, Amount(ask.n * tokens, ask.n * usd)


def _prices(prices: Mapping[str, Prices] | Prices | None, name: str) -> Prices | None:
    return prices.get(name) if isinstance(prices, Mapping) else prices


def _dearest(prices: Mapping[str, Prices] | Prices | None) -> float:
    """The price of a million tokens of whatever costs most."""
    every = prices.values() if isinstance(prices, Mapping) else () if prices is None else (prices,)
    return max(
        (max(one.prompt, one.generated, one.prm, one.prm_written or 0.0) for one in every), default=0.0
    )
