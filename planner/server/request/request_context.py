"""The context of a request: everything that is known about it before any work is done.

It says what the request needs of its key's limits (an answer at least, its budget at most), what it is
expected to take, and what the latency model learns from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from planner.decider import Assigned, Decider
from planner.deciding.budgeting import check_money
from planner.deciding.decision_filter import DecisionFilter
from planner.server.access.exchange import Exchange
from planner.server.access.keys import Key
from planner.server.access.limits import Amount
from planner.server.current import Served
from planner.server.decisions.recorder import Assignment
from planner.server.direct.passthrough_cost import prompt_tokens, raw_tokens
from planner.server.refusal import Refusal
from planner.server.request.ask import Ask
from planner.server.request.choosing import (
    SHADOW,
    answering_policy,
    availability_filter,
    first_policy,
    forced,
    is_shadowed,
    plain_choice,
    structured_choice,
)
from planner.server.request.serialize import Reason
from planner.server.service import Service
from planner.solving.availability_filter import AvailabilityFilter
from planner.solving.events import EndReason
from planner.solving.exploration import Exploration, Resampled
from planner.solving.latency import Work
from planner.solving.solution import Solution
from search.budget import UNLIMITED, Budget, Prices
from search.choice import Choice
from search.errors import GradingError
from search.plan import Plan
from search.prompts import Prompting

__all__ = [
    "RequestContext",
    "assigned_to",
    "expected_seconds",
    "exploring",
    "learn",
    "load",
    "open_ended",
    "planned_needs",
    "resolved",
]

#: reasons of requests that a policy answers once for itself, as its own server would
_ONCE = ("open_ended", "policy", "structured", SHADOW.code)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What is asked, by whom, under which planner, and what is left to choose.

    Parameters
    ----------
    budget:
        What is granted, within the server's ceiling.
    domain:
        What reads answers.
    availability, down:
        Models that are left out, and those of them that failed.
    first:
        The policy that answers where nothing is planned.
    choice, reason:
        The choice that the request's words force, and why the planner does not choose; None where it does.
    assignment:
        Whether the champion or the challenger was drawn; None without a challenger.
    """

    response_id: str
    endpoint: str
    ask: Ask
    key: Key
    served: Served
    budget: Budget
    domain: str
    availability: AvailabilityFilter
    down: tuple[str, ...]
    first: str
    choice: Choice | None
    reason: Reason | None
    assignment: Assignment | None = None

    @classmethod
    def of(cls, service: Service, ask: Ask, key: Key, endpoint: str, response_id: str) -> RequestContext:
        """Settle all that can be. Raises Refusal."""
        models, rules = service.models, service.rules
        may_plan = ask.plan is None and not ask.is_structured and not is_shadowed(rules, endpoint)
        served, assignment = service.drawn(response_id) if may_plan else (service.current.served, None)
        assigned = assigned_to(served, ask.question, ask.domain or rules.domain)
        first = first_policy(served, models, ask.policy)
        availability = availability_filter(served, models, ask)
        asked, domain = ask.budget, assigned.domain
        choice: Choice | None
        reason: Reason | None
        if is_shadowed(rules, endpoint):
            choice, reason = plain_choice(served, models, rules, ask), SHADOW
            # nothing that is asked of the planner binds the plain model
            first, asked = choice.policy, UNLIMITED
        else:
            choice, reason = forced(ask, models, rules, served, first)
        if ask.is_structured and ask.structured is not None and choice is None:
            upstream, domain = service.passing(ask.policy), ask.structured.domain
            choice = None if upstream is None else structured_choice(ask, rules, upstream.policy)
            reason = None if choice is None else _structured(choice)
        if choice is None and not assigned.planned:
            first = answering_policy(served, models, ask.policy)
            choice, reason = Choice(first, None, rules.open_plan), open_ended(assigned, rules.open_plan)
        return cls(
            response_id=response_id,
            endpoint=endpoint,
            ask=ask,
            key=key,
            served=served,
            budget=asked.within(rules.ceiling),
            domain=domain,
            availability=availability,
            down=(*models.down, *(name for name in models.resting if availability.leaves_out(name))),
            first=first,
            choice=choice,
            reason=reason,
            assignment=assignment,
        )

    @property
    def planner(self) -> Decider:
        """The planner that decides, to the end of this request."""
        return self.served.planner

    def prompting(self, policy: str) -> Prompting:
        """How a policy is asked: as the planner was learned, but plainly where it answers once for itself."""
        answers_once = self.reason is not None and self.reason.code in _ONCE
        return Prompting() if answers_once else self.planner.prompting(policy)

    def resolve(self, service: Service, budget: Budget, waited: float = 0.0) -> Budget:
        """A budget whose caps a ledger can keep, ``waited`` seconds after the request came."""
        margin = 0.0 if budget.seconds is None else service.latency.margin(budget.seconds)
        return resolved(
            service, self.planner, self.ask.question, budget, waited=waited + margin, shares=self.ask.n
        )


def resolved(
    service: Service,
    planner: Decider,
    question: str,
    budget: Budget,
    *,
    waited: float = 0.0,
    shares: int = 1,
) -> Budget:
    """A budget under the server's rules (``Decider.resolve``). Raises Refusal for money without
    prices."""
    if budget.usd is not None and service.rules.prices is None:
        raise Refusal("a budget in money needs the server's prices, got none", param="budget")
    check_money(budget, service.rules.prices, planner.policies)
    return planner.resolve(budget, question, least_price=service.rules.price, waited=waited, shares=shares)


def assigned_to(served: Served, question: str, domain: str | None) -> Assigned:
    """The domain of a question under the planner in use. Raises Refusal for one that nobody knows."""
    try:
        return served.assigned(question, domain)
    except GradingError as error:
        raise Refusal(str(error), param="domain") from error


def _structured(choice: Choice) -> Reason:
    """Why the plan of structured answers answers."""
    return Reason("structured", f"{choice.plan} answers, by a vote on JSON in canonical form")


def open_ended(assigned: Assigned, plan: Plan) -> Reason:
    """Why the plan of open-ended questions answers where nothing is planned."""
    runs = "the policy answers once" if plan.is_greedy else f"{plan} answers"
    return Reason("open_ended", f"{assigned.reason}: {runs}")


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
    prompt = raw_tokens(ask) if ask.is_structured else prompt_tokens(ask, models, policy)
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


def load(service: Service, context: RequestContext) -> int:
    """How much is worked on at a time: requests, and the other answers of this one."""
    return service.admission.running + context.ask.n - 1


def exploring(service: Service, context: RequestContext) -> DecisionFilter | None:
    """What explores, where that is switched on, and what leans on rules, where questions have drifted."""
    rules, found = service.rules, None
    if rules.explore:
        kind = Resampled if rules.explore_by == "thompson" else Exploration
        found = kind(rules.explore, context.planner.most_decisions, Random())
    if service.watch.drift is None:
        return found
    return service.watch.leaning(context.served.fingerprint, found)


def expected_seconds(service: Service, context: RequestContext, solution: Solution) -> float | None:
    """What the first decision takes by what is known of latencies; None where that is nothing."""
    if not solution.stages:
        return None
    advice = solution.stages[0].advice
    if not math.isfinite(advice.tokens):
        return None
    found = service.latency.predict(Work.of(advice.choice), advice.tokens, load(service, context))
    return None if found is None else found.mean


def learn(service: Service, solution: Solution, budget: Budget) -> None:
    """Let the latency model see how long after its deadline an answer leaves."""
    latency = service.latency
    if solution.ended == EndReason.POLICY_FAILED:
        return  # it was waited for, not worked with
    if budget.seconds is not None and solution.spend.seconds >= budget.seconds:
        exchange = Exchange.now()
        due = exchange.seconds - (solution.spend.seconds - budget.seconds)  # when to end
        exchange.then(lambda left: latency.overran(left - due))
