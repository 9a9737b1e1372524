"""What a request leaves to choose: the models that are there, up and allowed; or the choice it forces."""

from __future__ import annotations

from planner.server.current import Served
from planner.server.decisions.comparison import BESIDE
from planner.server.models import Models
from planner.server.refusal import Refusal
from planner.server.request.ask import Ask
from planner.server.request.serialize import Reason
from planner.server.rules import Rules
from planner.solving.availability_filter import AvailabilityFilter
from planner.solving.forced import best_prm
from search.choice import Choice
from search.plan import Plan

__all__ = [
    "NO_PRM",
    "SHADOW",
    "answering_policy",
    "availability_filter",
    "first_policy",
    "forced",
    "is_shadowed",
    "plain_choice",
    "structured_choice",
]

#: as a request's ``prm``: none may be asked
NO_PRM = "none"

_FORCED = Reason("forced_plan", "the model's name forces a plan")
_NAMED = Reason("policy", "the model's name is a policy's: it answers once")

#: why the planner does not choose in shadow mode
SHADOW = Reason("shadow", "shadow mode: the plain model answers, the planner only says what it would do")


def availability_filter(served: Served, models: Models, ask: Ask) -> AvailabilityFilter:
    """What is left out: models that are not served or down, and all others where a request names one.

    Raises Refusal for an unknown name, and where nothing is left.
    """
    policy, prm = ask.policy, ask.prm
    for name, there, param in (
        (policy, models.policies, "policy"),
        (prm, (*models.prms, NO_PRM), "prm"),
    ):
        if name is not None and name not in there:
            raise Refusal(f"{param} must be one of {', '.join(there)}, got {name[:80]!r}", param=param)
    policies = frozenset(served.missing) | (set() if policy is None else set(models.policies) - {policy})
    prms = frozenset(served.missing).union(models.down, () if prm is None else set(models.prms) - {prm})
    resting = set(models.resting) - {policy}
    availability = served.without(policies | resting, prms)
    if availability is None and resting:  # then they are tried again
        availability = served.without(policies, prms)
    if availability is None:
        raise Refusal("a planner needs a choice, got none that these models can run", param="policy")
    return availability


def first_policy(served: Served, models: Models, asked: str | None = None) -> str:
    """The policy that answers where nothing is planned: the one asked for, or the planner's, or the first."""
    if asked is not None:
        return asked
    probing = served.planner.first
    return probing if probing in models.policies else models.policies[0]


def answering_policy(served: Served, models: Models, asked: str | None = None) -> str:
    """``first_policy``, but another one where that failed lately and was not asked for."""
    first = first_policy(served, models, asked)
    if asked is not None or first not in models.resting:
        return first
    return next(name for name in models.policies if name not in models.resting)


def forced(
    ask: Ask, models: Models, rules: Rules, served: Served, first: str
) -> tuple[Choice | None, Reason | None]:
    """The choice that a model's name forces, and why the planner does not choose; None where it does.

    ``first`` answers where no policy is named. A plan that needs a PRM, where the request names none, gets
    the best of those that are there. Raises Refusal where there is none.
    """
    if ask.plan is None:
        return None, None
    policy, prm = ask.named or first, ask.prm
    for part in ask.plan.walk():
        if part.policy not in models.policies or (part.prm is not None and part.prm not in models.prms):
            there = ", ".join((*models.policies, *models.prms))
            raise Refusal(
                f"a plan runs on models that are there ({there}), got {part}", param="model", code="plan"
            )
    if ask.plan.parts and ask.plan.parts[0].policy in models.policies:
        policy = ask.plan.parts[0].policy
    if not ask.plan.needs_prm:
        prm = None
    else:
        prm = prm or best_prm(served.planner, policy, models.prms)
        if prm is None or prm == NO_PRM:
            raise Refusal(f"the plan {ask.plan} needs a PRM, got none", param="prm")
        if prm in models.down:
            raise Refusal(f"the PRM {prm} must answer, got none lately", 503, param="prm", code="prm_failed")
    if ask.plan.n > rules.sizes.samples:
        raise Refusal(
            f"a plan has at most {rules.sizes.samples} samples, got {ask.plan}",
            param="model",
            code="too_large",
        )
    return Choice(policy, prm, ask.plan), _NAMED if ask.named else _FORCED


def is_shadowed(rules: Rules, endpoint: str) -> bool:
    """Whether a request is answered by the plain model: in shadow mode, all but plans run beside it."""
    return rules.shadow is not None and endpoint != BESIDE


def plain_choice(served: Served, models: Models, rules: Rules, ask: Ask) -> Choice:
    """What answers in shadow mode: the policy that a request names, the server's plain one, or the first.

    Raises Refusal for an unknown policy.
    """
    named = ask.named or ask.policy or rules.plain_policy
    if named is not None and named not in models.policies:
        there = ", ".join(models.policies)
        raise Refusal(f"policy must be one of {there}, got {named[:80]!r}", param="policy")
    return Choice(answering_policy(served, models, named), None, Plan.of("cot"))


def structured_choice(ask: Ask, rules: Rules, policy: str) -> Choice | None:
    """What answers with JSON or with a call of a tool: the operator's plan, with no more samples than the
    budget has; None where there is none."""
    plan = rules.structured_plan
    if plan is None:
        return None
    samples = ask.budget.within(rules.ceiling).samples
    if samples is not None and samples < plan.n:
        plan = Plan.of("majority", n=samples) if samples > 1 else Plan.of("cot")
    return Choice(policy, None, plan)
