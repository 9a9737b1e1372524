"""The context of a request: everything that is known about it before any work is done."""

from __future__ import annotations

from dataclasses import dataclass

from planner.availability_filter import AvailabilityFilter
from planner.planner import Planner
from planner.server.ask import Ask
from planner.server.budget import Allowance, Granted
from planner.server.choosing import availability_filter, first_policy, forced
from planner.server.current import Served
from planner.server.keys import Key
from planner.server.receipt import Reason
from planner.server.refusal import Refusal
from planner.server.resolved_budget import ResolvedBudget
from planner.server.rules import Rules
from planner.server.service import Service
from search.choice import Choice
from search.grading.registry import DOMAINS, guess_domain
from search.plan import Plan
from search.prompts import Prompting

__all__ = ["RequestContext"]

_UNVOTED = Reason(
    "open_ended", "no domain claims this question, so answers cannot be compared: the policy answers once"
)

#: reasons of requests that a policy answers once for itself, as its own server would
_ONCE = ("open_ended", "policy")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What is asked, by whom, under which planner, and what is left to choose.

    Parameters
    ----------
    allowance:
        What is granted, within the server's ceiling.
    domain, voteable:
        What reads answers, and whether they can be compared at all.
    availability, down:
        Models that are left out, and those of them that failed.
    first:
        The policy that answers where nothing is planned.
    choice, reason:
        The choice that the request's words force, and why the planner does not choose; None where it does.
    """

    response_id: str
    endpoint: str
    ask: Ask
    granted: Granted
    key: Key
    served: Served
    allowance: Allowance
    domain: str
    voteable: bool
    availability: AvailabilityFilter
    down: tuple[str, ...]
    first: str
    choice: Choice | None
    reason: Reason | None

    @classmethod
    def of(
        cls, service: Service, ask: Ask, granted: Granted, key: Key, endpoint: str, response_id: str
    ) -> RequestContext:
        """Settle all that can be. Raises Refusal."""
        served, models, rules = service.current.served, service.models, service.rules
        domain, voteable = _domain(ask, rules, served)
        first = first_policy(served, models, ask.policy)
        availability = availability_filter(served, models, ask.policy, ask.prm)
        choice, reason = forced(granted, models, rules, served, first, ask.prm)
        if choice is None and not voteable:
            choice, reason = Choice(first, None, Plan.of("cot")), _UNVOTED
        return cls(
            response_id,
            endpoint,
            ask,
            granted,
            key,
            served,
            granted.allowance.under(rules.ceiling),
            domain,
            voteable,
            availability,
            models.down,
            first,
            choice,
            reason,
        )

    @property
    def planner(self) -> Planner:
        """The planner that decides, to the end of this request."""
        return self.served.planner

    def prompting(self, policy: str) -> Prompting:
        """How a policy is asked: as the planner was learned, but plainly where it answers once for itself."""
        answers_once = self.reason is not None and self.reason.code in _ONCE
        return Prompting() if answers_once else self.planner.prompting(policy)

    def resolve(self, service: Service, allowance: Allowance, waited: float = 0.0) -> ResolvedBudget:
        """An allowance in the planner's words, ``waited`` seconds after the request came."""
        seconds = allowance.seconds
        return ResolvedBudget.of(
            allowance,
            self.planner,
            self.ask.question,
            price=service.rules.price,
            prices=service.rules.prices,
            waited=waited + (0.0 if seconds is None else service.latency.margin(seconds)),
            shares=self.ask.n,
        )


def _domain(ask: Ask, rules: Rules, served: Served) -> tuple[str, bool]:
    asked = ask.domain or rules.domain
    if asked is not None:
        if asked not in DOMAINS:
            raise Refusal(f"domain must be one of {', '.join(DOMAINS)}, got {asked!r}", param="domain")
        return asked, True
    guessed = guess_domain(ask.question)
    if guessed is None or guessed.name not in served.planner.domains:
        return "text", False
    return guessed.name, True
