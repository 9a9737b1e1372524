"""Shadow mode: the plain model answers, and the planner only says what it would have done.

The recommendation is made while the plain model works, so that no answer waits for it. For a sample of the
requests the plan is run too, after the answer has left (``planner.server.request.beside``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

from planner.decider import Decider
from planner.deciding import money
from planner.deciding.recommendation import Recommendation
from planner.options import Option, options, voting
from planner.server.decisions.comparison import Comparison, Expected
from planner.server.request.ask import Ask
from planner.server.request.choosing import availability_filter, first_policy
from planner.server.request.request_context import assigned_to, resolved
from planner.server.request.serialize import known
from planner.server.service import Service
from search.budget import UNLIMITED, Prices
from search.choice import Choice
from search.errors import PlannerError
from search.plan import Plan

__all__ = ["HEADERS", "Shadowed", "compared", "expected_usd"]

#: of every response in shadow mode, errors among them
HEADERS = ((b"x-planner-mode", b"shadow"),)

_PLAIN = Plan.of("cot")


class Shadowed:
    """One request in shadow mode: what the planner would do, and whether it is among the sample.

    ``comparison`` is known soon after ``begin``, None before; ``policy`` is the plain model.
    """

    def __init__(self, service: Service, ask: Ask, response_id: str, policy: str) -> None:
        self.ask = ask
        self.response_id = response_id
        self.policy = policy
        self.comparison: Comparison | None = None
        self._service = service
        self._draw = Random()

    @property
    def told(self) -> dict[str, Any] | None:
        """The comparison as a receipt has it."""
        return None if self.comparison is None else self.comparison.to_dict()

    def begin(self) -> None:
        """Let the planner say what it would do, as soon as the loop is free."""
        asyncio.get_running_loop().call_soon(self._compare)

    def answered(self, text: str) -> None:
        """The plain answer has been written: run the planner's plan beside it, for a share of requests."""
        rules, beside = self._service.rules.shadow, self._service.beside
        if rules is None or beside is None or self.comparison is None:
            return
        if self.comparison.planned is None or self.ask.n > 1:
            return
        if self._draw.random() < rules.share:
            self._service.background.submit(partial(beside, self, self.comparison, text))

    def _compare(self) -> None:
        try:
            self.comparison = compared(self._service, self.ask, self.policy)
        except PlannerError:  # its budget, say: it would have been refused
            plain = Expected(policy=self.policy, prm=None, plan=str(_PLAIN))
            self.comparison = Comparison(plain=plain, reason="refused")


def compared(service: Service, ask: Ask, policy: str) -> Comparison:
    """What the planner would do for a request that ``policy`` answers once. Spends nothing.

    Raises Refusal for a budget or models that would have been refused.
    """
    served, models, rules = service.current.served, service.models, service.rules
    planner = served.planner
    plain = Expected(policy=policy, prm=None, plan=str(_PLAIN))
    reason = ask.passthrough
    if reason is None and ask.plan is not None and ask.named is None:
        reason = "forced_plan"
    if reason is None:
        assigned = assigned_to(served, ask.question, ask.domain or rules.domain)
        reason = None if assigned.planned else "open_ended"
    if reason is not None:
        return Comparison(plain=plain, reason=reason)
    availability = availability_filter(served, models, ask)
    # a policy's name says nothing of what may be spent
    budget = rules.default if ask.budget == UNLIMITED else ask.budget
    advice = planner.decide(
        ask.question,
        budget=resolved(service, planner, ask.question, budget.within(rules.ceiling), shares=ask.n),
        prices=rules.prices,
        domain=assigned.domain,
        abstain_below=ask.abstain_below,
        decision_filter=availability,
    )
    found = options(planner, ask.question)
    price = _Pricing(planner, rules.prices, _prompt(service, policy, ask.question))
    once = next((option for option in found if option.choice == Choice(policy, None, _PLAIN)), None)
    vote = voting(found, first_policy(served, models, ask.policy), advice.accuracy)
    return Comparison(
        plain=(plain if once is None else price.expected(once)).times(ask.n),
        planned=price.expected(advice).times(ask.n),
        vote=None if vote is None or vote.never else price.expected(vote.option).times(ask.n),
    )


class _Pricing:
    """Turns what a planner expects into the words of a log, with money where prices are known."""

    def __init__(self, planner: Decider, prices: Mapping[str, Prices] | Prices | None, prompt: int) -> None:
        self._planner, self._prices, self._prompt = planner, prices, prompt

    def expected(self, one: Option | Recommendation) -> Expected:
        """A choice and what is expected of it."""
        choice = one.choice
        usd = None
        if self._prices is not None and not choice.plan.parts:
            usd = expected_usd(self._planner, self._prices, choice, one.tokens, one.flops, self._prompt)
        return Expected(
            policy=choice.policy,
            prm=choice.prm,
            plan=str(choice.plan),
            accuracy=known(one.accuracy),
            tokens=known(one.tokens),
            flops=known(one.flops),
            usd=known(usd),
        )


def expected_usd(
    planner: Decider,
    prices: Mapping[str, Prices] | Prices,
    choice: Choice,
    tokens: float,
    flops: float,
    prompt: int,
) -> float | None:
    """Money for so many tokens of a policy and its PRM together; None where these or a price are not known.

    How many of them are the PRM's follows from the FLOPs, since those of a token differ; where they do not
    differ, all count as the policy's. ``prompt``: tokens of the policy's prompt, which is paid for as often
    as the plan sends it.
    """
    policy = prices.get(choice.policy) if isinstance(prices, Mapping) else prices
    if policy is None or math.isnan(tokens):
        return None
    scored = 0.0
    price = 0.0
    if choice.prm is not None:
        prm = prices.get(choice.prm) if isinstance(prices, Mapping) else prices
        if prm is None:
            return None
        own = planner.policies[choice.policy].flops(1.0)
        other = planner.prms[choice.prm].flops(1.0)
        price = prm.prm
        if own != other:
            scored = min(tokens, max(0.0, (flops - own * tokens) / (other - own)))
    return money.expected_usd(
        policy, choice, prompt=prompt, tokens=max(0.0, tokens - scored), scored=scored, prm=price
    )


def _prompt(service: Service, policy: str, question: str) -> int:
    """Tokens of the question as a policy reads it; 0 where it cannot be read."""
    try:
        return len(service.models.engines[policy].prompt(question))
    except PlannerError:
        return 0
