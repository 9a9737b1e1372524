"""A plan that is forced: the choice that runs it, with the models that are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from search.choice import Choice
from search.errors import PlanError
from search.plan import Plan

if TYPE_CHECKING:  # the server's settings are read without it
    from planner.decider import Decider

__all__ = ["best_prm", "check_open_plan", "check_structured_plan", "forced_choice"]


def forced_choice(
    planner: Decider,
    plan: Plan | str,
    pairs: Collection[tuple[str, str | None]],
    without: Collection[str] = (),
) -> Choice:
    """The choice of a plan: the policy that the planner begins with, or the plan's own, and where the plan
    needs a PRM the best of those that are there.

    ``pairs``: policies and PRMs that can run together. Raises PlanError for a plan that none of them can run.
    """
    wanted = Plan.parse(plan) if isinstance(plan, str) else plan
    policies = [name for name in dict.fromkeys(policy for policy, _ in pairs) if name not in without]
    policy = planner.first if planner.first in policies else next(iter(policies), None)
    if wanted.parts:
        policy = wanted.parts[0].policy
    if policy is None:
        raise PlanError(f"a plan needs a policy, got none for {wanted}")
    if not wanted.needs_prm:
        return Choice(policy, None, wanted)
    own = wanted.parts[0].prm if wanted.parts else None
    there = [prm for one, prm in pairs if one == policy and prm is not None and prm not in without]
    prm = own or best_prm(planner, policy, there)
    if prm is None:
        raise PlanError(f"the plan {wanted} needs a PRM, got none beside {policy!r}")
    return Choice(policy, prm, wanted)


def check_open_plan(plan: Plan) -> None:
    """Raises PlanError for a plan that cannot answer open-ended questions: one that needs a PRM, which knows
    nothing of them, or one of several policies."""
    if plan.needs_prm or plan.parts:
        raise PlanError(f"an open-ended question is answered by a plan of one policy and no PRM, got {plan}")


def check_structured_plan(plan: Plan) -> None:
    """Raises PlanError for a plan that cannot answer with JSON or with a call of a tool: the policy's server
    writes whole samples, which nothing but a vote can choose from."""
    if plan.strategy not in ("cot", "majority"):
        raise PlanError(f"structured answers come from cot() or majority(n=8), say, got {plan}")


def best_prm(planner: Decider, policy: str, prms: Sequence[str]) -> str | None:
    """The PRM that told right from wrong best in training, of those that are there."""
    known = planner.card.get("prm_auroc_within_problems", {})
    ranked = sorted(prms, key=lambda prm: -float(known.get(f"{policy} x {prm}", 0.0)))
    return ranked[0] if ranked else None
