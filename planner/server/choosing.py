"""What a request's planner may choose among: the models that are there, up, and allowed by the request."""

from __future__ import annotations

from planner.barring import Barring
from planner.server.current import Served
from planner.server.models import Models
from planner.server.refusal import Refusal

__all__ = ["NO_PRM", "barring", "first_policy"]

#: as a request's ``prm``: none may be asked
NO_PRM = "none"


def barring(served: Served, models: Models, policy: str | None, prm: str | None) -> Barring:
    """What is left out: models that are not served or down, and all others where a request names one.

    Raises Refusal for an unknown name, and where nothing is left.
    """
    for name, there, param in (
        (policy, models.policies, "policy"),
        (prm, (*models.prms, NO_PRM), "prm"),
    ):
        if name is not None and name not in there:
            raise Refusal(f"{param} must be one of {', '.join(there)}, got {name[:80]!r}", param=param)
    policies = set(served.missing) | (set() if policy is None else set(models.policies) - {policy})
    prms = set(served.missing) | set(models.down)
    prms |= set() if prm is None else set(models.prms) - {prm}
    bars = Barring(policies, prms)
    if not bars.leaves(served.planner):
        raise Refusal("a planner needs a choice, got none that these models can run", param="policy")
    return bars


def first_policy(served: Served, models: Models, asked: str | None = None) -> str:
    """The policy that answers where nothing is planned: the one asked for, or the planner's, or the first."""
    if asked is not None:
        return asked
    probing = served.planner.stages[0].look.policy
    return probing if probing in models.policies else models.policies[0]
