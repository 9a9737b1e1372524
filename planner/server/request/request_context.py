"""The context of a request: everything that is known about it before any work is done."""

from __future__ import annotations

from dataclasses import dataclass

from planner.decider import Decider
from planner.deciding.budgeting import check_money
from planner.server.access.keys import Key
from planner.server.current import Served
from planner.server.decisions.recorder import Assignment
from planner.server.refusal import Refusal
from planner.server.request.ask import Ask
from planner.server.request.budget import RequestBudget
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
from planner.server.request.receipt import Reason
from planner.server.service import Service
from planner.solving.availability_filter import AvailabilityFilter
from planner.solving.domains import Assigned, assign
from search.budget import UNLIMITED, Budget
from search.choice import Choice
from search.errors import GradingError
from search.plan import Plan
from search.prompts import Prompting

__all__ = ["RequestContext", "assigned_to", "open_ended", "resolved"]

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
    granted: RequestBudget
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
    def of(
        cls, service: Service, ask: Ask, granted: RequestBudget, key: Key, endpoint: str, response_id: str
    ) -> RequestContext:
        """Settle all that can be. Raises Refusal."""
        models, rules = service.models, service.rules
        may_plan = granted.plan is None and not ask.is_structured and not is_shadowed(rules, endpoint)
        served, assignment = service.drawn(response_id) if may_plan else (service.current.served, None)
        assigned = assigned_to(served, ask.question, ask.domain or rules.domain)
        first = first_policy(served, models, ask.policy)
        availability = availability_filter(served, models, ask.policy, ask.prm)
        asked, domain = granted.budget, assigned.domain
        choice: Choice | None
        reason: Reason | None
        if is_shadowed(rules, endpoint):
            choice, reason = plain_choice(served, models, rules, granted, ask.policy), SHADOW
            # nothing that is asked of the planner binds the plain model
            first, asked = choice.policy, UNLIMITED
        else:
            choice, reason = forced(granted, models, rules, served, first, ask.prm)
        if ask.is_structured and ask.structured is not None and choice is None:
            upstream, domain = service.passing(ask.policy), ask.structured.domain
            choice = None if upstream is None else structured_choice(granted, rules, upstream.policy)
            reason = None if choice is None else _structured(choice)
        if choice is None and not assigned.planned:
            first = answering_policy(served, models, ask.policy)
            choice, reason = Choice(first, None, rules.open_plan), open_ended(assigned, rules.open_plan)
        return cls(
            response_id=response_id,
            endpoint=endpoint,
            ask=ask,
            granted=granted,
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
        return assign(served.planner, question, domain)
    except GradingError as error:
        raise Refusal(str(error), param="domain") from error


def _structured(choice: Choice) -> Reason:
    """Why the plan of structured answers answers."""
    return Reason("structured", f"{choice.plan} answers, by a vote on JSON in canonical form")


def open_ended(assigned: Assigned, plan: Plan) -> Reason:
    """Why the plan of open-ended questions answers where nothing is planned."""
    runs = "the policy answers once" if plan.is_greedy else f"{plan} answers"
    return Reason("open_ended", f"{assigned.reason}: {runs}")
